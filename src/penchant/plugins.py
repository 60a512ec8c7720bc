"""Third-party code: objects named `module:name`, and additions of installed packages by entry points.

A package adds names to one of GROUPS in its pyproject.toml, and they are available once it is installed:

    [project.entry-points."penchant.objectives"]
    focal = "my_package.losses:FOCAL"

Penchant's own names take precedence, so a package cannot change their meaning. Nothing of a package is imported before
one of its names is used. Both ways RUN THAT CODE, with the user's permissions: install packages that you trust, and
accept `module:name` only from what the user typed, never from a data file or a downloaded configuration.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from penchant.errors import ConfigError
from penchant.wording import kind_and_reason_of

__all__ = ["GROUPS", "added_names", "blame", "find_added", "import_object", "is_import_path", "package_of"]

GROUPS = {
    "penchant.objectives": "objective",
    "penchant.estimators": "estimator",
    "penchant.importers": "importer",
    "penchant.judges": "judge",
    "penchant.trackers": "tracker",
    "penchant.commands": "command",
    "penchant.experiments": "experiment",
}
"""For each group of entry points, what its names refer to."""


def added_names(group: str) -> tuple[str, ...]:
    """The names that installed packages add to a group, in alphabetical order; nothing is imported."""
    return tuple(sorted({point.name for point in _added_to(group)}))


def find_added(group: str, name: str) -> Any:
    """The object that an installed package adds under this name; None if none does.

    Raises ConfigError, naming the package, if it cannot be loaded, and if two packages add the same name.
    """
    if (point := _point(group, name)) is None:
        return None
    try:
        return point.load()
    except Exception as error:  # importing a third-party module may fail in any way
        raise blame(group, name, f"cannot be loaded ({kind_and_reason_of(error)})") from error


def blame(group: str, name: str, fault: str) -> ConfigError:
    """The error for an invalid addition of a package. fault: what it is or does instead."""
    return ConfigError(
        f"The {GROUPS[group]} {name!r} of the package {package_of(group, name)} {fault}; fix the package or "
        "uninstall it."
    )


def package_of(group: str, name: str) -> str | None:
    """The package that adds the name, and its version; None if none does. Raises ConfigError if two do."""
    point = _point(group, name)
    return _package(point) if point else None


def is_import_path(name: str) -> bool:
    """Whether a name is of the form `module:name`."""
    return ":" in name


def import_object(path: str, kind: str, like: str) -> Any:
    """The object `module:name`. The module is searched on Python's path, then in the current folder.

    kind: what it should be, for messages. like: an example of such a path.

    Raises ConfigError: if the form is wrong, or the module or the object does not exist.
    """
    module_name, _, name = path.partition(":")
    if not module_name or module_name.startswith(".") or not name.isidentifier():
        raise ConfigError(f"The {kind} {path!r} is not of the form module:name; write it like {like}.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that a local file never shadows an installed package
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing the user's file may fail in any way
        raise ConfigError(
            f"The {kind} {path!r} cannot be imported ({kind_and_reason_of(error)}); "
            f"fix the module, or put it where Python looks for it: in sys.path, or in the current folder {os.getcwd()}."
        ) from error
    if not hasattr(module, name):
        raise ConfigError(f"The {kind} {path!r} does not exist: {module.__file__} defines no {name!r}; check the name.")
    return getattr(module, name)


def _added_to(group: str) -> tuple[EntryPoint, ...]:
    """All additions of installed packages, reread when Python's path or one of its folders has changed."""
    return _added_in(tuple((place, _changed(place)) for place in sys.path), group)


@lru_cache(maxsize=len(GROUPS))  # reading opens a file of every installed package, and each file of data asks for them
def _added_in(places: tuple[tuple[str, int], ...], group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:  # a missing folder adds nothing
        return 0


def _point(group: str, name: str) -> EntryPoint | None:
    points = [point for point in _added_to(group) if point.name == name]
    if len({_package(point) for point in points}) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise ConfigError(f"The {GROUPS[group]} {name!r} is added by {packages}; uninstall all but one of them.")
    return points[0] if points else None


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value

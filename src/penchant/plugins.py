"""What Penchant does not bring itself: an object named `module:name`, and what installed packages add by entry points.

A package adds to one of GROUPS in its pyproject.toml, and its names are known wherever it is installed:

    [project.entry-points."penchant.objectives"]
    focal = "my_package.losses:FOCAL"

Names that Penchant has itself come first, so a package cannot change what they mean. Nothing of a package is imported
before one of its names is asked for. Both ways RUN THAT CODE, with all that the user may do: install packages that you
trust, and take `module:name` only from what the user typed, never from a data file or a downloaded configuration.
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
"""By group of entry points: what one of its names stands for."""


def added_names(group: str) -> tuple[str, ...]:
    """The names that installed packages add to a group, in alphabetical order; nothing is imported."""
    return tuple(sorted({point.name for point in _added_to(group)}))


def find_added(group: str, name: str) -> Any:
    """What an installed package added under this name; None where none did.

    Raises ConfigError, which names the package, where it cannot be loaded, and where two packages add the same name.
    """
    if (point := _point(group, name)) is None:
        return None
    try:
        return point.load()
    except Exception as error:  # somebody else's module may fail in any way while it is imported
        raise blame(group, name, f"cannot be loaded ({kind_and_reason_of(error)})") from error


def blame(group: str, name: str, fault: str) -> ConfigError:
    """The error to raise where what a package added is not what it should be. fault: what it is or does instead."""
    return ConfigError(
        f"The {GROUPS[group]} {name!r} of the package {package_of(group, name)} {fault}; fix the package or "
        "uninstall it."
    )


def package_of(group: str, name: str) -> str | None:
    """The package that adds the name, and its version; None where none does. Raises ConfigError where two do."""
    point = _point(group, name)
    return _package(point) if point else None


def is_import_path(name: str) -> bool:
    """Whether a name is of the form `module:name`."""
    return ":" in name


def import_object(path: str, kind: str, like: str) -> Any:
    """The object `module:name`. The module is looked for where Python looks, then in the current folder.

    kind: what it is to be, for messages. like: an example of such a path.

    Raises ConfigError: not of that form, or the module or the object is not there.
    """
    module_name, _, name = path.partition(":")
    if not module_name or module_name.startswith(".") or not name.isidentifier():
        raise ConfigError(f"The {kind} {path!r} is not of the form module:name; write it like {like}.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that a file here never hides an installed package
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's own file may fail in any way while it is imported
        raise ConfigError(
            f"The {kind} {path!r} cannot be imported ({kind_and_reason_of(error)}); "
            f"fix the module, or run where Python finds it: its path, then {os.getcwd()}."
        ) from error
    if not hasattr(module, name):
        raise ConfigError(f"The {kind} {path!r} is not there: {module.__file__} has no {name!r}; check its name.")
    return getattr(module, name)


def _added_to(group: str) -> tuple[EntryPoint, ...]:
    """What all installed packages add, read again when Python looks elsewhere or a place it looks in has changed."""
    return _added_in(tuple((place, _changed(place)) for place in sys.path), group)


@lru_cache(maxsize=len(GROUPS))  # reading opens a file of every installed package, and each file of data asks for them
def _added_in(places: tuple[tuple[str, int], ...], group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:  # a place that is not there adds nothing
        return 0


def _point(group: str, name: str) -> EntryPoint | None:
    points = [point for point in _added_to(group) if point.name == name]
    if len({_package(point) for point in points}) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise ConfigError(f"The {GROUPS[group]} {name!r} is added by {packages}; uninstall all but one of them.")
    return points[0] if points else None


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value

"""All experiments by name: the exact ones, those on real models, and those that installed packages add."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError
from penchant.lab import EXPERIMENTS, Result
from penchant.life import EXPERIMENTS as ON_MODELS
from penchant.plugins import added_names, blame, find_added
from penchant.progress import Reporter
from penchant.wording import nearest

__all__ = [
    "GROUP",
    "OURS",
    "find_experiment",
    "names_of_experiments",
    "options_of",
    "read_options",
    "rows_of_experiments",
    "run_experiment",
]

GROUP = "penchant.experiments"
FOLDER = "folder"
"""The option of experiments that write more than figures."""
OURS: Mapping[str, Callable[..., Result]] = {**EXPERIMENTS, **ON_MODELS}


def names_of_experiments() -> tuple[str, ...]:
    """Built-in names, then those of installed packages, which are not imported."""
    return (*OURS, *(name for name in added_names(GROUP) if name not in OURS))


def rows_of_experiments() -> Iterator[tuple[str, str, str]]:
    """Name, description and options of every experiment; for a broken package, its error instead."""
    for name in names_of_experiments():
        try:
            experiment = find_experiment(name)
        except ConfigError as error:
            yield name, str(error), ""
            continue
        options = ", ".join(f"{one.name}={one.default}".rstrip("=") for one in options_of(experiment).values())
        yield name, (inspect.getdoc(experiment) or name).splitlines()[0], options or "none"


def find_experiment(name: str) -> Callable[..., Result]:
    """The experiment of that name. Raises ConfigError if there is none, or its package is broken."""
    if name in OURS:
        return OURS[name]
    if (added := find_added(GROUP, name)) is None:
        near = nearest(name, names_of_experiments())
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(names_of_experiments())}"
        raise ConfigError(f"lab: there is no experiment '{name}'; {hint}")
    if not callable(added):
        raise blame(GROUP, name, f"is of the type {type(added).__name__}, not a function that returns a Result")
    experiment: Callable[..., Result] = added
    return experiment


def options_of(experiment: Callable[..., Result]) -> dict[str, inspect.Parameter]:
    """The options that users can set; keyword-only arguments, such as a reporter, are for programs."""
    parameters = inspect.signature(experiment).parameters
    return {name: one for name, one in parameters.items() if one.kind is not one.KEYWORD_ONLY}


def read_options(
    name: str, experiments: Mapping[str, Callable[..., Result]], settings: Sequence[str], say: Callable[[str], None]
) -> dict[str, Any]:
    """Parse the options, as `option=value`, that one of several experiments has.

    Reports those that this one does not have; raises ConfigError for one that none has, or a value of another type.
    """
    known = {one: options_of(experiment) for one, experiment in experiments.items()}
    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not any(key in one for one in known.values()):
            every = ", ".join(dict.fromkeys(option for one in known.values() for option in one)) or "none"
            whose = "its" if len(experiments) == 1 else "their"
            takes = f"`set=...` takes option=value of {whose} options ({every})"
            raise ConfigError(f"lab {' '.join(experiments)}: {takes}, got '{setting}'")
        if key not in known[name]:
            say(f"{name} has no option {key}, so {setting} does not affect it")
            continue
        default = known[name][key].default
        try:
            options[key] = type(default)(text)
        except ValueError:
            kind = f"of the type {type(default).__name__}, such as {default}"
            raise ConfigError(f"lab {name}: {key} must be {kind}, got '{text}'") from None
    return options


def run_experiment(
    experiment: Callable[..., Result], options: Mapping[str, Any], reporter: Reporter, folder: Path | None = None
) -> Result:
    """Run an experiment, showing progress if it reports any, and return its result.

    folder: for experiments that write more than figures, unless an option names another.
    """
    if folder is not None and FOLDER in options_of(experiment):
        options = {FOLDER: str(folder), **options}
    shows = "reporter" in inspect.signature(experiment).parameters
    return experiment(**options, reporter=reporter) if shows else experiment(**options)

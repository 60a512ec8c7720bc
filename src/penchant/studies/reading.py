"""Read and check the settings of a study from a file or a mapping; errors are one sentence with file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from penchant.errors import ConfigError
from penchant.evaluation.judges import JudgeOptions
from penchant.plugins import is_import_path
from penchant.reading import read_text
from penchant.strict_yaml import line_of, read_settings
from penchant.studies.settings import Curve, Pool, StudyConfig
from penchant.training.section import Checked
from penchant.training.settings import RUN_CODE, wrong_value
from penchant.wording import nearest, shown

__all__ = ["read_study"]

Config = TypeVar("Config", bound=StudyConfig)


def read_study(schema: type[Config], given: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[Config, str]:
    """The settings, and their source's name in messages. Raises ConfigError.

    A file may be untrusted and must name no code to run. A mapping is trusted.
    """
    if isinstance(given, Mapping):
        return _checked(schema, given, "settings", None), "settings"
    file = Path(given).expanduser()
    content = read_settings(file, expected="the settings of a study", unreadable="check its path")
    config = _checked(schema, content, str(file), read_text(file))
    _refuse_code(config, file)
    return config, str(file)


def _checked(schema: type[Config], content: Mapping[str, Any], name: str, text: str | None) -> Config:
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    problem = min(problems, key=lambda one: one["type"] != "extra_forbidden")  # a typo explains a missing key
    path, message = problem["loc"], str(problem["msg"]).removeprefix("Value error, ")
    is_sentence = not path  # our own sentences begin with their place
    path = path or _path_in(content, message)
    line = None if text is None else line_of(text, path)
    where, key = f"{name}:{line}" if line else name, ".".join(map(str, path))
    if is_sentence:
        raise ConfigError(f"{where}: {message}")
    if problem["type"] == "missing":
        raise ConfigError(f"{where}: the setting '{key}' is missing; add it")
    if problem["type"] == "extra_forbidden":
        known = _names_beside(schema, path)
        meant = nearest(str(path[-1]), known)
        hint = f"did you mean '{meant}'?" if meant else f"choose from {', '.join(known)}"
        raise ConfigError(f"{where}: there is no setting '{key}'; {hint}")
    if problem["type"] in ("tuple_type", "list_type"):
        value = shown(problem["input"])
        raise ConfigError(f"{where}: '{key}' must be a list of values, got {value}; write [{value}]")
    raise ConfigError(f"{where}: {wrong_value(key, problem['input'], message)}")


def _path_in(content: object, sentence: str) -> tuple[str, ...]:
    """The keys with which a sentence of ours begins; both `methods.dpo.settings` and `dpo.beta` may be one key."""
    if not isinstance(content, Mapping):
        return ()
    begun = (key for key in map(str, content) if sentence.startswith((f"{key}.", f"{key}:")))
    key = max(begun, key=len, default=None)
    return () if key is None else (key, *_path_in(content.get(key), sentence[len(key) + 1 :]))


def _names_beside(schema: type[StudyConfig], path: tuple[Any, ...]) -> list[str]:
    """The valid settings of a section, for a path whose last part is unknown."""
    sections: dict[str, type[Checked]] = {"pool": Pool, "methods": Curve}
    section = sections.get(str(path[0]), schema) if len(path) > 1 else schema
    return list(section.model_fields)


def _refuse_code(config: StudyConfig, file: Path) -> None:
    """Raise ConfigError if a file names a judge or a setting that would run code, or an endpoint."""
    if config.judge is not None:
        kind = JudgeOptions(config.judge).kind
        if kind == "endpoint" or (kind == "function" and is_import_path(config.judge)):
            raise ConfigError(
                f"{_at(file, 'judge')}: the judge {shown(config.judge)} would run code or be sent texts, which a file "
                f"must not ask for; if you trust it, name it yourself with `judge={config.judge}`"
            )
    for where, settings in config.all_settings().items():
        for key in (key for key in settings if key in RUN_CODE):
            if any(is_import_path(str(one)) for one in _each(settings[key])):
                raise ConfigError(
                    f"{_at(file, *where, key)}: '{key}' is {shown(settings[key])}, whose code would run, which a file "
                    "must not ask for; if you trust it, give the settings of the study in Python as a mapping"
                )


def _at(file: Path, *path: str) -> str:
    line = line_of(read_text(file), path)
    return f"{file}:{line}" if line else str(file)


def _each(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]

"""Merge one configuration from four sources: defaults < YAML file < environment < arguments or command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from penchant.errors import ConfigError
from penchant.plugins import is_import_path
from penchant.process import RESTARTS
from penchant.strict_yaml import StrictYamlError, read_settings, strict_load
from penchant.training.arguments import setting_meant
from penchant.training.presets import preset_named
from penchant.wording import nearest, shown

__all__ = ["REQUIRED", "RUN_CODE", "build_config", "known_keys", "settings_of", "wrong_value"]

Config = TypeVar("Config", bound=BaseModel)


REQUIRED = ("output", "data.files")
"""Settings that a command requires; from Python, a run and its data may be in memory."""
RUN_CODE = {
    "dpo.objective": 'objective="{}"',
    "save.trackers": 'track="{}"',
    "sampling.judge": 'judge="{}"',
    "rlhf.advantages": 'set="rlhf.advantages={}"',
}
"""Settings that can name custom code, and the argument that does."""
PREFIX = "PENCHANT_"
NOTHING = ("null", "~")
NOT_SETTINGS = {"PENCHANT_CACHE", "PENCHANT_JUDGE_KEY", "PENCHANT_ENDPOINT_KEY", RESTARTS}


def build_config(
    schema: type[Config],
    *,
    file: str | os.PathLike[str] | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    required: Sequence[str] = (),
    flags_are: str = "the arguments",
) -> Config:
    """Build the validated configuration. Raises ConfigError with the key, its value and what to do.

    file: YAML. settings: "section.key=value", values in YAML, or dotted keys to values. flags: dotted keys to
    values; None means the flag was not given, False for a section that it is null. environment:
    PENCHANT_SECTION__KEY=value; None: none is read. required: keys that must be set. flags_are: the name of the flags'
    source in messages.
    """
    keys, texts = known_keys(schema), _text_keys(schema)
    merged: dict[str, tuple[Any, str]] = {}
    if file is not None:
        for key, value in _flatten(
            read_settings(Path(file), expected="sections of keys", unreadable="check the path of `config=...`"), keys
        ):
            _refuse_twice(key, merged, str(file))
            merged[key] = (value, str(file))
    _add_environment(merged, environment or {}, keys, texts)
    _add_settings(merged, settings, keys, texts)
    for key, value in (flags or {}).items():
        if value is not None:
            _put(merged, key, None if value is False and keys.get(key) else value, flags_are)
    if file is not None:
        _refuse_code_named_in(str(file), merged)
    _add_preset(merged, keys, str(file))
    nested = _nest({key: value for key, (value, _) in merged.items()})
    keys = known_keys(schema, nested)
    for key, (value, where) in merged.items():
        _check_known(key, value, keys, where)
    if lacking := next((key for key in required if merged.get(key, (None, ""))[0] in (None, [], ())), None):
        raise ConfigError(f"the setting '{lacking}' is missing; give it as an argument or in the file of `config=...`")
    try:
        return schema.model_validate(nested)
    except ValidationError as error:
        raise ConfigError(_explain(error, merged)) from None


def known_keys(schema: type[BaseModel], given: Mapping[str, Any] | None = None, prefix: str = "") -> dict[str, bool]:
    """Dotted keys of a schema, where `given` holds what was set; True if the key is a section."""
    keys: dict[str, bool] = {}
    for name, field in settings_of(schema, given).items():
        section = _section_of(field.annotation)
        keys[prefix + name] = section is not None
        if section is not None:
            inner = (given or {}).get(name)
            keys |= known_keys(section, inner if isinstance(inner, Mapping) else None, f"{prefix}{name}.")
    return keys


def settings_of(schema: type[BaseModel], given: Mapping[str, Any] | None = None) -> dict[str, FieldInfo]:
    """The settings of a section by name: its fields, and further ones that it accepts for `given`."""
    settings: Callable[..., dict[str, FieldInfo]] | None = getattr(schema, "settings", None)
    return schema.model_fields if settings is None else settings(given or {})


def _text_keys(schema: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted keys whose value is text, so that output=2024 is not a number."""
    found: set[str] = set()
    for name, field in schema.model_fields.items():
        if section := _section_of(field.annotation):
            found |= _text_keys(section, f"{prefix}{name}.")
        elif field.annotation in (str, str | None):
            found.add(prefix + name)
    return found


def _refuse_code_named_in(file: str, merged: Mapping[str, tuple[Any, str]]) -> None:
    """Raise ConfigError if a settings file, which may be untrusted, names code to run."""
    for key, argument in RUN_CODE.items():
        value, where = merged.get(key, ("", ""))
        names = value if isinstance(value, list | tuple) else [value]
        if where == file and (code := next((name for name in names if is_import_path(str(name))), None)):
            raise ConfigError(
                f"{file}: '{key}' is {shown(code)}, whose code would run; if you trust it, name it yourself with "
                f"`{argument.format(code)}`"
            )


def _add_environment(
    merged: dict[str, tuple[Any, str]], environment: Mapping[str, str], keys: Mapping[str, bool], texts: set[str]
) -> None:
    for name, text in environment.items():
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            for part, value in _parts(key, _value(text, name, is_text=key in texts), keys):
                _put(merged, part, value, name)


def _add_preset(merged: dict[str, tuple[Any, str]], keys: Mapping[str, bool], file: str) -> None:
    """Add the settings of a published recipe beneath all that are given. Raises ConfigError for an unknown one.

    A preset named in the file is below the file's settings; one given in the call is above them, so that the settings
    of an earlier run can be used with another recipe.
    """
    name, named_in = merged.get("preset", (None, ""))
    if name is None or "preset" not in keys:
        return
    preset = preset_named(name)
    free = {key for key in preset.settings if key not in merged or (merged[key][1] == file and named_in != file)}
    if "dpo.objective" not in free and merged["dpo.objective"][0] != preset.settings["dpo.objective"]:
        free = {key for key in free if not key.startswith("dpo.")}  # another objective has its own parameters
    for key in free:
        merged[key] = (preset.settings[key], f"the preset {preset.name}")


def _add_settings(
    merged: dict[str, tuple[Any, str]],
    settings: Sequence[str] | Mapping[str, Any],
    keys: Mapping[str, bool],
    texts: set[str],
) -> None:
    if isinstance(settings, Mapping):
        for key, value in _flatten(settings, keys):
            _put(merged, key, value, "settings")
        return
    given: set[str] = set()
    for setting in [settings] if isinstance(settings, str) else settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(
                f"`set=...` takes section.key=value, got {shown(setting)}; for example optimiser.epochs=2"
            )
        key = key.strip()
        _refuse_twice(key, given, "`set=...`")
        given.add(key)
        for part, value in _parts(key, _value(text, f"`set=...` {key}", is_text=key in texts), keys):
            _put(merged, part, value, "`set=...`")


def _put(merged: dict[str, tuple[Any, str]], key: str, value: Any, where: str) -> None:
    """Apply a later setting; setting a section to null also drops earlier settings of its parts."""
    for inner in [known for known in merged if value is None and known.startswith(f"{key}.")]:
        del merged[inner]
    merged[key] = (value, where)


def _refuse_twice(key: str, known: Container[str], where: str) -> None:
    if key in known:
        raise ConfigError(f"{where}: the setting '{key}' appears twice; keep one of them")


def _section_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _flatten(content: Mapping[str, Any], keys: Mapping[str, bool], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        yield from _parts(f"{prefix}{name}", value, keys)


def _parts(key: str, value: Any, keys: Mapping[str, bool]) -> Iterator[tuple[str, Any]]:
    """A single setting, or the settings of a section's parts; an empty section means its defaults."""
    if isinstance(value, Mapping) and value and keys.get(key, False):
        yield from _flatten(value, keys, f"{key}.")
    else:
        yield key, value


def _value(text: str, where: str, *, is_text: bool) -> Any:
    if is_text and text.strip() not in NOTHING:
        return text
    try:
        value = strict_load(text)
    except StrictYamlError as error:
        raise ConfigError(f"{where}: {error.problem} in {shown(text)}; {error.fix}") from error
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-6 as text
        except ValueError:
            return value
    return value


def _check_known(key: str, value: Any, keys: Mapping[str, bool], where: str) -> None:
    if keys.get(key, False) and not (value is None or isinstance(value, Mapping)):
        raise ConfigError(f"{where}: '{key}' is a section and takes no value, got {shown(value)}; set one of its keys")
    if key in keys:
        return
    leaves, meant = [k for k in keys if not keys[k]], setting_meant(key)
    last = meant.rsplit(".", 1)[-1]
    of_a_section = next((k for k in leaves if k.rsplit(".", 1)[-1] == last), None)
    near = meant if meant in keys else of_a_section or nearest(key, keys)
    section = f"{key.rpartition('.')[0]}."
    there = [k for k in leaves if k.startswith(section)] or list(dict.fromkeys(k.partition(".")[0] for k in keys))
    hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(there)}"
    raise ConfigError(f"{where}: there is no setting '{key}'; {hint}")


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in sorted(flat.items(), key=lambda item: item[0].count(".")):
        *sections, last = key.split(".")
        place = nested
        for section in sections:
            inner = place.get(section)
            place[section] = place = dict(inner) if isinstance(inner, Mapping) else {}
        place[last] = value
    return nested


def _explain(error: ValidationError, merged: Mapping[str, tuple[Any, str]]) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    if problem["type"] == "missing":
        return f"the setting '{key}' is missing; give it as an argument or in the file of `config=...`"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error" and key not in merged:  # a sentence of ours about several settings
        return message
    value, where = merged.get(key, (problem.get("input"), "the configuration"))
    return f"{where}: {wrong_value(key, value, message)}"


def wrong_value(key: str, value: object, message: str) -> str:
    """A sentence about an invalid value of a setting, from pydantic's message or one of ours.

    Example:
        >>> wrong_value("seed", -1, "Input should be greater than or equal to 0")
        "'seed' must be greater than or equal to 0, got -1"
    """
    if message.startswith("Input should be "):
        must = message.removeprefix("Input should be ").partition(", unable to ")[0]
        return f"'{key}' must be {must}, got {shown(value)}"
    advice = "" if "; " in message else "; correct it"
    return f"'{key}' is {shown(value)}: {message[:1].lower()}{message[1:]}{advice}"

"""Write config.yaml of a run, and check that a resumed run has the settings it started with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from penchant.errors import OutputError
from penchant.files.whole import write_atomically
from penchant.training.config import RunConfig
from penchant.wording import reason_of

__all__ = ["require_same_settings", "write_settings"]


def write_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Write config.yaml, after run.json, so that a config.yaml alone is known to be the user's."""
    write_atomically(file, _as_text(settings))


def require_same_settings(file: Path, began_with: Mapping[str, Any], config: RunConfig) -> None:
    """Raise OutputError if config.yaml, or the resumed run's settings, differ from those at its start.

    file: the run's config.yaml, which is written if a process was killed before it was. began_with: from run.json.
    """
    if not file.exists():
        write_settings(file, began_with)
    as_written = yaml.safe_load(_as_text(began_with))
    if edited := sorted(_differences(_filled_in(as_written, config), _filled_in(_settings_in(file), config))):
        raise OutputError(
            f"{file}: {', '.join(edited)} changed since the start of the run, and a resumed run keeps its settings "
            "(see run.json); restore the file, or delete it, or start again in another `output=...`"
        )
    if changed := sorted(_differences(_filled_in(began_with, config), config.model_dump(mode="json"))):
        raise OutputError(
            f"{file.parent}: the run was begun with other values of {', '.join(changed)}; resume with the same "
            f"settings (they are in {file})"
        )


def _as_text(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def _settings_in(file: Path) -> dict[str, Any]:
    """The settings in config.yaml. Raises OutputError if it cannot be read."""
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no settings")
        if strange := [key for key in settings if not isinstance(key, str)]:
            raise ValueError(f"{strange[0]!r} is not a setting")
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise OutputError(f"{file}: cannot be read ({reason_of(error)}); delete it, and it is written again") from error
    return settings


def _filled_in(settings: Mapping[str, Any], config: RunConfig) -> Mapping[str, Any]:
    """The settings of an older run, with defaults for settings that did not exist yet."""
    try:
        return type(config).model_validate(settings).model_dump(mode="json")
    except ValidationError:
        return settings


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b and f"{prefix}{key}" != "output":
            yield f"{prefix}{key}"

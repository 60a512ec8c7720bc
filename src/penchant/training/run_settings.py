"""config.yaml of a run, and whether a run that goes on has the settings that it began with."""

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
    """Written after run.json, so that a config.yaml without one is the user's own."""
    write_atomically(file, _as_text(settings))


def require_same_settings(file: Path, began_with: Mapping[str, Any], config: RunConfig) -> None:
    """Raise OutputError where config.yaml, or what the run is to go on with, says anything else than it began with.

    file: the run's config.yaml, which is written where a process was killed before it was. began_with: of run.json.
    """
    if not file.exists():
        write_settings(file, began_with)
    as_written = yaml.safe_load(_as_text(began_with))
    if edited := sorted(_differences(_filled_in(as_written, config), _filled_in(_settings_in(file), config))):
        raise OutputError(
            f"{file}: says another {', '.join(edited)} than the run was begun with, and a run goes on as it began "
            "(run.json holds how); put it back, or delete the file, or begin again in another `output=...`"
        )
    if changed := sorted(_differences(_filled_in(began_with, config), config.model_dump(mode="json"))):
        raise OutputError(
            f"{file.parent}: the run was begun with another {', '.join(changed)}; resume with the same settings "
            f"(they are in {file})"
        )


def _as_text(settings: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def _settings_in(file: Path) -> dict[str, Any]:
    """What config.yaml says; an OutputError where it cannot be read."""
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no settings")
        if strange := [key for key in settings if not isinstance(key, str)]:
            raise ValueError(f"{strange[0]!r} is no setting")
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise OutputError(f"{file}: cannot be read ({reason_of(error)}); delete it, it is written again") from error
    return settings


def _filled_in(settings: Mapping[str, Any], config: RunConfig) -> Mapping[str, Any]:
    """The settings of a run that may have begun before some setting was there, which then had its default."""
    try:
        return type(config).model_validate(settings).model_dump(mode="json")
    except ValidationError:
        return settings


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in old.keys() | new.keys():
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b and f"{prefix}{key}" != "output":
            yield f"{prefix}{key}"

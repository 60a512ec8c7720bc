"""Build the checked configuration of a run from a library caller's arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from penchant.errors import ConfigError
from penchant.training.arguments import dotted
from penchant.training.config import RunConfig
from penchant.training.given import Given
from penchant.training.settings import build_config

__all__ = ["configure"]

AnyRun = TypeVar("AnyRun", bound=RunConfig)


def configure(
    schema: type[AnyRun],
    config: str | os.PathLike[str] | AnyRun | None,
    settings: Mapping[str, Any] | Sequence[str],
    arguments: Mapping[str, Any],
    given: Given,
    own: Mapping[str, Any] | None = None,
) -> AnyRun:
    """Merge `config`, then `settings`, then `arguments` into a checked configuration. Raises ConfigError.

    own: arguments of a single command, with the settings they set.
    """
    flags = {key: value for key, value in {**dotted(arguments), **(own or {})}.items() if value is not None}
    if isinstance(config, RunConfig):
        if flags or settings:
            raise ConfigError("config is a checked configuration already; leave out settings and arguments beside it")
        return config
    required = () if given.data is not None else ("data.files",)
    required = required if config is not None else ("model.name", *required)
    return build_config(schema, file=config, settings=settings, flags=flags, required=required)

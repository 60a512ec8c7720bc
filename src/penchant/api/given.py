"""Read the prompts and data that a caller passes; a project of people's answers is written to a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penchant.data import Prompt
from penchant.data.given import Data
from penchant.data.in_memory import RowSource
from penchant.data.prompt_sets import read_prompts
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.feedback.snapshots import resolve_projects
from penchant.numbers_given import require_whole
from penchant.progress import Reporter

__all__ = ["Prompts", "pairs_in", "prompts_of"]

Prompts = Data | Sequence[str]
"""A file or a named set, a list of texts, or records."""


def prompts_of(
    prompts: Prompts,
    limit: int | None,
    reporter: Reporter,
    *,
    columns: Columns | None = None,
    format: str | None = None,
) -> Sequence[Prompt]:
    """Read at most `limit` prompts and report how many are left out. Raises UserError."""
    require_whole("max_prompts", limit)
    if not isinstance(prompts, str | os.PathLike | Mapping | RowSource) and not hasattr(prompts, "columns"):
        given = _each(prompts)
        if (columns, format) == (None, None) and _were_read(given):
            return given[:limit]
        prompts = [{"prompt": str(one)} if isinstance(one, str) else one for one in given]
    return read_prompts(prompts, limit, reporter.say, columns=columns, format=format)


def pairs_in(data: Data, reporter: Reporter, *, labels: str | None = None) -> Data:
    """Return the data, with each project in a list of files replaced by a file of its votes; see `resolve_projects`.

    Raises UserError.
    """
    files = [data] if isinstance(data, str | os.PathLike) else data
    if isinstance(files, list | tuple) and files and all(isinstance(one, str | os.PathLike) for one in files):
        return list(resolve_projects([*map(os.fspath, files)], "pairs", labels=labels, say=reporter.say))
    if labels is not None:
        raise ConfigError(
            "`labels=...` says how the votes of a vote project become pairs, but the data name no project; leave it out"
        )
    return data


def _were_read(prompts: list[Any]) -> bool:
    """Whether these records each name a different place they were read from, which errors can cite."""
    are_read = all(isinstance(one, Prompt) and one.origin is not None for one in prompts)
    return are_read and 0 < len(prompts) == len({one.id for one in prompts})


def _each(values: Any) -> list[Any]:
    if not isinstance(values, Iterable):
        raise ConfigError(f"prompts is of type {type(values).__name__}; give a list of texts, a file or records")
    return list(values)

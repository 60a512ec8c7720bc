"""A project of people's answers, named where a command takes files of data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from penchant.data.authors import is_project, votes_behind
from penchant.errors import ConfigError

__all__ = ["resolve_projects"]


def resolve_projects(
    files: Sequence[str],
    to: str,
    *,
    labels: str | None = None,
    begun_with: Sequence[str] = (),
    say: Callable[[str], None],
) -> tuple[str, ...]:
    """The files, with a snapshot in place of every project, of which it is said what became of the votes.

    labels: --labels, which is read by projects alone. Raises UserError, see `penchant.feedback.snapshots`.
    """
    projects = [is_project(Path(file)) for file in files]
    if not any(projects):
        if labels is not None:
            raise ConfigError(
                f"--labels {labels}: says how the votes of a project become pairs, and no --data is one; leave it out"
            )
        return tuple(files)
    from penchant.feedback.snapshots import in_words, snapshots

    resolved = snapshots(files, cast(Any, to), cast(Any, labels), begun_with)
    for file, was_project in zip(resolved, projects, strict=True):
        if was_project and (votes := votes_behind(Path(file))):
            say(in_words(votes))
    return tuple(resolved)

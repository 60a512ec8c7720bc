"""What `penchant dpo` and `penchant sft` have in common: settings from four places, and what is shown of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from penchant.cli.console import Reporter
from penchant.files.place import require_place
from penchant.launching import launch
from penchant.training.arguments import dotted
from penchant.training.settings import REQUIRED, build_config

if TYPE_CHECKING:
    from penchant.training.trained import Run

__all__ = ["begin", "show"]

Config = TypeVar("Config")


@contextmanager
def begin(
    schema: type[Config],
    flags: Mapping[str, Any],
    file: Path | None,
    settings: Sequence[str] | None,
    trackers: Sequence[str] | None,
    own: Mapping[str, Any] | None = None,
    *,
    writes: bool = True,
    processes: int = 1,
    max_restarts: int = 0,
) -> Iterator[tuple[Config, Reporter]]:
    """The checked configuration, and where progress goes; the process is this command's own.

    own: options of one command alone, by the settings they set. writes: whether an output is needed. processes: how
    many do it together; where they are to be started, this one ends as they do.
    """
    config: Any = build_config(
        schema,  # type: ignore[type-var]  # one of the configurations
        file=file,
        settings=settings or (),
        flags=dotted(flags) | {"save.trackers": trackers or None} | dict(own or {}),
        environment=os.environ,
        required=REQUIRED if writes else REQUIRED[1:],
        flags_are="the command line",
    )
    if writes:
        require_place(Path(config.output))
    launch(processes, max_restarts)
    with Reporter() as reporter:
        reporter.say(f"loading {config.model.name}")  # before the libraries are: they take some seconds themselves
        from penchant.models.numerics import prepare_process

        prepare_process()
        yield config, reporter


def show(run: Run, reporter: Reporter) -> None:
    """What the run changed and cost, and where it is."""
    for line in run.in_words():
        reporter.say(line)

"""The run folder of several processes: the first process writes it, the others only read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from penchant import ranks
from penchant.files.whole import disk_errors_explained
from penchant.models.language_model import LanguageModel
from penchant.models.ledger import read_ledger
from penchant.models.sharding import whole_on_first
from penchant.models.slices import write_together
from penchant.training.alone import alone_in_run
from penchant.training.config import RunConfig
from penchant.training.run_folder import RunFolder
from penchant.training.run_record import RunRecord

__all__ = ["OthersRunFolder", "first_alone_in_run", "record_of"]


@contextmanager
def first_alone_in_run(place: Path, command: str) -> Iterator[None]:
    """A context in which the first process has locked the folder before any other process reads it."""
    with ExitStack() as stack:
        with ranks.first_goes_ahead():
            if ranks.is_first():
                stack.enter_context(alone_in_run(place, command))
        yield


def record_of(config: RunConfig, command: str, *, resume: bool) -> RunRecord:
    """The record of the run: in memory or in its folder, which only the first process writes."""
    if config.output is None:
        return RunRecord.begin(config, command)
    with ranks.first_goes_ahead():
        return (RunFolder if ranks.is_first() else OthersRunFolder).create(config, command, resume=resume)


class OthersRunFolder(RunFolder):
    """The read-only view of the folder for all processes but the first."""

    @classmethod
    def create(cls, config: RunConfig, command: str, *, resume: bool) -> RunFolder:
        """Open the folder that the first process has created."""
        assert config.output is not None, "a run without an output is a RunRecord"
        folder = cls(Path(config.output))
        folder.ledger = read_ledger(folder.path)
        return folder

    def note(self, **facts: Any) -> None:
        self.ledger.update(facts)

    def record(self, metrics: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]) -> None:
        return

    def keep_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        with disk_errors_explained(self.path):
            write_together(None, {"weights": parameters})

    def write_model(self, model: LanguageModel) -> dict[str, str]:
        whole_on_first(model)
        return {}

    def keep_until(self, step: int, say: Callable[[str], None] = lambda _: None, *, evaluated: bool = True) -> None:
        return

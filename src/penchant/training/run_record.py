"""The record of a run: facts, metrics, samples; here in memory, in `run_folder.py` on disk."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from penchant import ranks
from penchant.errors import OutputError
from penchant.models.language_model import LanguageModel
from penchant.models.sharded import put
from penchant.training.checkpoint import Checkpoint
from penchant.training.config import RunConfig
from penchant.training.records import plain
from penchant.versions import installed_versions

__all__ = ["RunRecord", "facts_of_begin", "now", "require_same_on_all"]

BEGUN_WITH = {
    "data_digest": "data",
    "model_digest": "model weights",
    "reference_digest": "reference weights",
    "tokens_digest": "a chat template or tokenizer",
}


def require_same_on_all(facts: Mapping[str, Any]) -> None:
    """Raise ConfigError if a rank's inputs differ from the first's; facts: those known so far."""
    ranks.require_same({what: facts.get(name) for name, what in BEGUN_WITH.items()})


class RunRecord:
    """A run without files: its ledger, metrics and samples are in memory, and nothing is saved."""

    path: Path | None = None
    how_to_go_on = ""

    def __init__(self) -> None:
        self.ledger: dict[str, Any] = {}
        self.metrics_kept: list[dict[str, Any]] = []
        self.samples_kept: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}

    @classmethod
    def begin(cls, config: RunConfig, command: str) -> RunRecord:
        """A record of a run with these settings."""
        record = cls()
        record.note(**facts_of_begin(config, command))
        return record

    def note(self, **facts: Any) -> None:
        """Add facts to the ledger."""
        self.ledger.update(facts)

    def begin_with(self, **facts: Any) -> None:
        """Record the inputs of the run; they must equal those at its start, and be the same on all ranks.

        Facts that an older version did not record are taken as they are now. Raises OutputError; ConfigError for ranks.
        """
        require_same_on_all(facts)
        for name, what in BEGUN_WITH.items():
            if self.ledger.get(name, facts.get(name)) != facts.get(name):
                raise OutputError(
                    f"{self.path}: {what} changed since the run was started; restore the original, or leave out "
                    "`resume=True` and begin in another `output=...`"
                )
        self.note(**facts)

    def finish(self, **facts: Any) -> None:
        """Mark the run as finished."""
        self.note(status="finished", finished_at=now(), **facts)

    def record(self, metrics: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of metrics and samples."""
        self.metrics_kept += map(plain, metrics)
        self.samples_kept += map(plain, samples)

    def metrics_rows(self) -> list[dict[str, Any]]:
        """All rows of metrics so far."""
        return list(self.metrics_kept)

    def samples_rows(self) -> list[dict[str, Any]]:
        """All samples so far."""
        return list(self.samples_kept)

    def save(
        self,
        step: int,
        parameters: Mapping[str, torch.nn.Parameter],
        optimiser: torch.optim.Optimizer,
        state: Mapping[str, Any],
        task: Mapping[str, Tensor],
        *,
        keep: int,
    ) -> None:
        """Write a checkpoint of the current state during training, if the record is on disk.

        Waits for the previous one first. Raises OutputError, also for the previous one.
        """

    def settle(self, *, wait: bool = True) -> None:
        """Finish the checkpoint being written, if all ranks have written it, or wait for it. All ranks must call this.

        Raises OutputError if it could not be written.
        """

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Write checkpoints inside; on an early end the last is waited for, except after a second Ctrl-C."""
        yield

    def newest_checkpoint(self, say: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint to resume from, if there is one."""
        return None

    def keep_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Store these weights, those of the best evaluation so far."""
        self.best = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def take_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Load the stored weights into the parameters."""
        for name, parameter in parameters.items():
            put(parameter, self.best[name])

    def keep_until(self, step: int, say: Callable[[str], None] = lambda _: None, *, evaluated: bool = True) -> None:
        """Drop metrics and samples of steps after `step`, when a run is resumed."""

    def require_space(self, num_bytes: int) -> None:
        """Raise OutputError if the disk has too little space."""

    def write_model(self, model: LanguageModel) -> dict[str, str]:
        """Write the trained model, if the record is on disk; returns the sha256 of its files by name."""
        return {}

    @contextmanager
    def withdrawn_if_refused(self) -> Iterator[None]:
        """A context that removes the run if a UserError occurs before the first step of a run that began here."""
        yield


def facts_of_begin(config: RunConfig, command: str) -> dict[str, Any]:
    """The ledger's first facts about a run that starts now."""
    return {
        "command": command,
        "config": config.model_dump(mode="json"),
        "versions": installed_versions() | {"cores": str(os.cpu_count())},
        "started_at": now(),
        "status": "running",
    }


def now() -> str:
    """The current time, in ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

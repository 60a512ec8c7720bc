"""What a run writes down as it goes: facts, metrics, samples; here in memory, in `run_folder.py` on disk."""

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
    """Raise ConfigError where a rank's run computes from something else than the first's; facts: those known so far."""
    ranks.require_same({what: facts.get(name) for name, what in BEGUN_WITH.items()})


class RunRecord:
    """A run that leaves no file: its ledger, metrics and samples are kept in memory, and nothing is saved."""

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
        """Note what the run computes from; it must be what it was when the run began, and the same on all ranks.

        A fact that an older Penchant did not note is taken as it is now. Raises OutputError, and ConfigError of ranks.
        """
        require_same_on_all(facts)
        for name, what in BEGUN_WITH.items():
            if self.ledger.get(name, facts.get(name)) != facts.get(name):
                raise OutputError(
                    f"{self.path}: the run was begun with {what} other than what is there now; put that back, or "
                    "leave out `resume=True` and begin in another `output=...`"
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
        """Write a checkpoint, where the record is on disk: of what there is now, while training goes on.

        Raises OutputError, also of the one before, which it waits for.
        """

    def settle(self, *, wait: bool = True) -> None:
        """Be done with the checkpoint that is being written, if all have written it, or wait for it. All ranks do.

        Raises OutputError where it could not be written.
        """

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Inside, checkpoints are written; what ends it early, but for a second Ctrl-C, waits for the last."""
        yield

    def newest_checkpoint(self, say: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint to go on from, if there is one."""
        return None

    def keep_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Keep these weights, those of the best evaluation so far."""
        self.best = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def take_best(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Put the weights that were kept into the parameters."""
        for name, parameter in parameters.items():
            put(parameter, self.best[name])

    def keep_until(self, step: int, say: Callable[[str], None] = lambda _: None, *, evaluated: bool = True) -> None:
        """Forget metrics and samples of steps after `step`, where a run is resumed."""

    def require_space(self, num_bytes: int) -> None:
        """Refuse to begin what the disk cannot hold."""

    def write_model(self, model: LanguageModel) -> dict[str, str]:
        """Write the trained model, where the record is on disk; sha256 of its files by name."""
        return {}

    @contextmanager
    def withdrawn_if_refused(self) -> Iterator[None]:
        """Where a UserError comes before the first step of a run that began here, leave nothing of the run."""
        yield


def facts_of_begin(config: RunConfig, command: str) -> dict[str, Any]:
    """What the ledger says of a run that begins now."""
    return {
        "command": command,
        "config": config.model_dump(mode="json"),
        "versions": installed_versions() | {"cores": str(os.cpu_count())},
        "started_at": now(),
        "status": "running",
    }


def now() -> str:
    """The time, in ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

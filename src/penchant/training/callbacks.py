"""What a caller adds to training: metrics of its own, a place to send them, a reason to stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.progress import Reporter
from penchant.training.run_record import RunRecord

__all__ = ["Callback", "Training", "begin_one", "closing", "own_metrics"]


class Training(Protocol):
    """The training that a callback is called from.

    model: as it is now, to be looked at and not changed. step: optimiser steps taken. num_steps: of the whole run.
    record: the run's folder or what stands for it in memory; `record.ledger["config"]` has the settings. reporter: says
    a line to whoever watches.
    """

    model: LanguageModel
    step: int
    num_steps: int
    record: RunRecord
    reporter: Reporter

    def stop(self, why: str) -> None:
        """End training after this step, as if it were the last; `why` is kept in the ledger as `stopped_early`."""


class Callback:
    """Subclass it and override what is wanted; every method does nothing by default.

    An exception raised here ends the run, as one of the run's own would.
    """

    def on_begin(self, training: Training) -> None:
        """Before the first step, also where a run is resumed."""

    def on_step(self, training: Training, row: Mapping[str, Any]) -> None:
        """After an optimiser step. row: its line of metrics.jsonl (loss, rewards/margins, learning_rate, ...)."""

    def on_evaluation(self, training: Training, row: Mapping[str, Any]) -> Mapping[str, float] | None:
        """After an evaluation. row: `eval_` metrics of what is held out. Returns metrics to record beside them."""

    def on_samples(self, training: Training, rows: Sequence[Mapping[str, Any]]) -> None:
        """What the model answered to the same held-out prompts, before the first step and at every evaluation.

        rows: lines of samples.jsonl (step, prompt, response, ...).
        """

    def on_end(self, training: Training) -> None:
        """After the last step and its evaluation; not where training was interrupted or failed."""

    def on_close(self, finished: bool) -> None:
        """Last of all, also where training was interrupted or failed, which `finished` tells."""


@contextmanager
def closing(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Around training: every callback hears `on_close`, however it ends."""
    finished = False
    try:
        yield
        finished = True
    finally:
        for callback in callbacks:
            callback.on_close(finished)


def begin_one(callback: Callback, training: Training, samples: Sequence[Mapping[str, Any]]) -> None:
    """Training begins; before its first step, samples of the model as it was are there too."""
    callback.on_begin(training)
    if training.step == 0:
        callback.on_samples(training, samples)


def own_metrics(callback: Callback, training: Training, row: Mapping[str, Any]) -> dict[str, float]:
    """What the callback measures at an evaluation. Raises ConfigError for a name that is taken, or what is no number.

    row: what is recorded already.
    """
    found = dict(callback.on_evaluation(training, row) or {})
    for name, value in found.items():
        if name in row:
            raise ConfigError(
                f"{type(callback).__name__}.on_evaluation: the metric {name!r} is there already; give it another name"
            )
        if not isinstance(value, int | float):
            raise ConfigError(
                f"{type(callback).__name__}.on_evaluation: the metric {name!r} is {value!r}; return numbers"
            )
    return {name: float(value) if isinstance(value, bool) else value for name, value in found.items()}

"""Callbacks: a caller's own metrics, trackers, and reasons to stop."""

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
    """The state of training that a callback receives.

    model: the current model, not to be changed. step: optimiser steps taken. num_steps: those of the whole run.
    record: the run's folder, or its counterpart in memory; `record.ledger["config"]` has the settings. reporter: shows
    a line to the user.
    """

    model: LanguageModel
    step: int
    num_steps: int
    record: RunRecord
    reporter: Reporter

    def stop(self, why: str) -> None:
        """End training after this step, as if it were the last; `why` is kept in the ledger as `stopped_early`."""


class Callback:
    """Subclass it and override methods; every method does nothing by default.

    An exception raised here ends the run.
    """

    def on_begin(self, training: Training) -> None:
        """Called before the first step, also of a resumed run."""

    def on_step(self, training: Training, row: Mapping[str, Any]) -> None:
        """Called after an optimiser step. row: its metrics (loss, rewards/margins, learning_rate, ...)."""

    def on_evaluation(self, training: Training, row: Mapping[str, Any]) -> Mapping[str, float] | None:
        """Called after an evaluation. row: `eval_` metrics of held-out items. Returns metrics to record beside them."""

    def on_samples(self, training: Training, rows: Sequence[Mapping[str, Any]]) -> None:
        """Called with the answers to the fixed held-out prompts, before the first step and at every evaluation.

        rows: lines of samples.jsonl (step, prompt, response, ...).
        """

    def on_end(self, training: Training) -> None:
        """Called after the last step and its evaluation; not if training was interrupted or failed."""

    def on_close(self, finished: bool) -> None:
        """Called last, also if training was interrupted or failed; `finished` tells which."""


@contextmanager
def closing(callbacks: Sequence[Callback]) -> Iterator[None]:
    """A context around training that calls `on_close` of every callback, however training ends."""
    finished = False
    try:
        yield
        finished = True
    finally:
        for callback in callbacks:
            callback.on_close(finished)


def begin_one(callback: Callback, training: Training, samples: Sequence[Mapping[str, Any]]) -> None:
    """Call `on_begin`, and before the first step `on_samples` with the untrained model's answers."""
    callback.on_begin(training)
    if training.step == 0:
        callback.on_samples(training, samples)


def own_metrics(callback: Callback, training: Training, row: Mapping[str, Any]) -> dict[str, float]:
    """The callback's metrics at an evaluation. Raises ConfigError for a name that is taken, or a non-number.

    row: the metrics recorded so far.
    """
    found: dict[str, float] = {}
    for name, value in (callback.on_evaluation(training, row) or {}).items():
        if name in row:
            raise ConfigError(
                f"{type(callback).__name__}.on_evaluation: the metric {name!r} is there already; give it another name"
            )
        try:
            found[name] = value if type(value) in (int, float) else _number(value)
        except (TypeError, ValueError, RuntimeError):
            raise ConfigError(
                f"{type(callback).__name__}.on_evaluation: the metric {name!r} is {value!r:.80}; return a number"
            ) from None
    return found


def _number(value: Any) -> float:
    """A number of NumPy or PyTorch, or True or False, as Python's. Raises TypeError for text, which holds no number."""
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)

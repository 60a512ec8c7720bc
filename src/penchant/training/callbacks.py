"""What a caller adds to training: metrics of its own, a place to send them, a reason to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.plugins import added_names, find_added, import_object, is_import_path

__all__ = ["Callback", "Training", "open_tracker", "own_metrics"]


class Training(Protocol):
    """The training that a callback is called from.

    model: as it is now, to be looked at and not changed. step: optimiser steps taken. num_steps: of the whole run.
    """

    model: LanguageModel
    step: int
    num_steps: int

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

    def on_end(self, training: Training) -> None:
        """After the last step and its evaluation; not where training was interrupted or failed."""


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
    return found


def open_tracker(name: str) -> Callback:
    """The callback that a setting names: one that an installed package adds, or `module:name` of your own.

    What is named is a Callback, or makes one when it is called with nothing. Raises ConfigError.
    """
    if is_import_path(name):
        made = import_object(name, "tracker", "my_trackers:Csv")
    elif (made := find_added("penchant.trackers", name)) is None:
        there = ", ".join(added_names("penchant.trackers")) or "none"
        raise ConfigError(
            f"save.trackers: there is no tracker {name!r}; installed packages add {there}, or name module:name of yours"
        )
    callback = made if isinstance(made, Callback) else made()
    if not isinstance(callback, Callback):
        raise ConfigError(f"save.trackers: {name} makes a {type(callback).__name__}, not a penchant.Callback")
    return callback

"""Metrics on held-out items, measured the same way as in training, without a gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from penchant.evaluation.winrate import win_rate_of
from penchant.models.language_model import LanguageModel
from penchant.tokens import pack

__all__ = ["evaluate_task"]

ACCURACY = "rewards/accuracies"


class Task(Protocol):
    """What is asked of a training task."""

    def count(self, item: Any) -> float: ...

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Any]]) -> Task: ...

    def losses(
        self, model: LanguageModel, items: Sequence[Any]
    ) -> tuple[Tensor, Mapping[str, tuple[Tensor, float]]]: ...


def evaluate_task(model: LanguageModel, task: Task, items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    To an objective that compares the pairs of a batch, all items are one batch. Of the accuracy, the limits of its 95%
    interval too, as `eval_rewards/accuracies_low` and `_high`; pairs of one prompt go together.
    """
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    right: list[float] = []
    packed = pack([item.sequences for item in items], token_budget, share=model.shares)
    micro_batches = [[items[i] for i in indices] for indices in packed]
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            for name, (value, count) in {"loss": (loss, sum(map(task.count, batch))), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + float(value.sum())
                counts[name] = counts.get(name, 0.0) + count
            if ACCURACY in metrics:
                right += metrics[ACCURACY][0].tolist()
    means = {f"eval_{name}": value / counts[name] for name, value in sums.items() if counts[name]}
    if right:
        rate = win_rate_of(right, [_prompt_of(items[i]) for indices in packed for i in indices])
        means |= {f"eval_{ACCURACY}_low": rate.low, f"eval_{ACCURACY}_high": rate.high}
    return means


def _prompt_of(item: Any) -> bytes:
    first = item.sequences[0]
    return bytes(first.ids[~first.scored].tobytes())

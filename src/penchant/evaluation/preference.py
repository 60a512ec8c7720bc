"""Metrics on held-out items, measured the same way as in training, without a gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.tokens import pack

__all__ = ["evaluate_task"]


class Task(Protocol):
    """What is asked of a training task."""

    def count(self, item: Any) -> float: ...

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Any]]) -> Task: ...

    def losses(
        self, model: LanguageModel, items: Sequence[Any]
    ) -> tuple[Tensor, Mapping[str, tuple[Tensor, float]]]: ...


def evaluate_task(model: LanguageModel, task: Task, items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    To an objective that compares the pairs of a batch, all items are one batch.
    """
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    packed = pack([item.sequences for item in items], token_budget, share=model.shares)
    micro_batches = [[items[i] for i in indices] for indices in packed]
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            for name, (value, count) in {"loss": (loss, sum(map(task.count, batch))), **metrics}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
                counts[name] = counts.get(name, 0.0) + count
    return {f"eval_{name}": value / counts[name] for name, value in sums.items() if counts[name]}

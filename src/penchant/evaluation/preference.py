"""Metrics on held-out items, measured the same way as in training, without a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.tokens import pack

__all__ = ["evaluate_task"]


class Task(Protocol):
    """The two questions asked of a training task."""

    def count(self, item: Any) -> float: ...

    def losses(self, model: LanguageModel, items: Sequence[Any]) -> tuple[Tensor, dict[str, Tensor]]: ...


def evaluate_task(model: LanguageModel, task: Task, items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`."""
    sums: dict[str, float] = {}
    count = 0.0
    with torch.no_grad():
        for indices in pack([item.sequences for item in items], token_budget, share=model.shares):
            batch = [items[i] for i in indices]
            loss, metrics = task.losses(model, batch)
            for name, value in {"loss": loss, **metrics}.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            count += sum(task.count(item) for item in batch)
    return {f"eval_{name}": value / count for name, value in sums.items()}

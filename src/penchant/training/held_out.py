"""Metrics on held-out items, measured the same way as in training, without a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from penchant.models.language_model import LanguageModel
from penchant.ranking.winrate import win_rate_of
from penchant.tokens import pack
from penchant.training.task import Tally, Task

__all__ = ["evaluate_task"]

ACCURACY = "rewards/accuracies"


def evaluate_task(model: LanguageModel, task: Task[Any], items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    To an objective that compares the pairs of a batch, all items are one batch. Of the accuracy, the limits of its 95%
    interval too, as `eval_rewards/accuracies_low` and `_high`; pairs of one prompt go together.
    """
    tally = Tally()
    right: list[float] = []
    packed = pack([item.sequences for item in items], token_budget, share=model.shares)
    micro_batches = [[items[i] for i in indices] for indices in packed]
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            tally.add(loss, sum(map(task.count, batch)), metrics)
            if ACCURACY in metrics:
                right += metrics[ACCURACY][0].tolist()
    means = {f"eval_{name}": value for name, value in tally.means().items()}
    if right:
        rate = win_rate_of(right, [items[i].sequences[0].context for indices in packed for i in indices])
        means |= {f"eval_{ACCURACY}_low": rate.low, f"eval_{ACCURACY}_high": rate.high}
    return means

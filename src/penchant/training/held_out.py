"""Evaluate held-out items, measured as in training but without a gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from penchant import ranks
from penchant.models.language_model import LanguageModel
from penchant.ranking.winrate import win_rate_of
from penchant.statistics import accuracy_by_length, calibration_error
from penchant.tokens.order import in_token_order, order_key
from penchant.tokens.packing import pack_ordered
from penchant.training.task import Tally, Task

__all__ = ["evaluate_task"]

ACCURACY, MARGIN = "rewards/accuracies", "rewards/margins"


def evaluate_task(model: LanguageModel, task: Task[Any], items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    For a batch-coupled objective, all items form one batch. The accuracy also has the limits of its 95% interval, as
    `eval_rewards/accuracies_low` and `_high`, clustered by prompt. It is also split by which response is longer, as
    `eval_rewards/accuracies/chosen_longer`, `_as_long` and `_shorter`, with `_num` pairs. `eval_rewards/ece` is the
    expected calibration error of sigmoid(margin), with its limits. Ranks share the micro-batches.
    """
    tally = Tally()
    pairs: dict[str, list[Any]] = {"right": [], "prompts": [], "margins": [], "lengths": []}
    micro_batches: Sequence[Sequence[Any]] = _MicroBatches.of(items, token_budget, share=model.shares)
    if task.knows_items:
        micro_batches = list(micro_batches)
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            tally.add(loss, sum(map(task.count, batch)), metrics)
            if ACCURACY in metrics:
                pairs["right"] += metrics[ACCURACY][0].tolist()
                pairs["prompts"] += [_prompt_of(item) for item in batch]
                pairs["margins"] += metrics[MARGIN][0].tolist()
                pairs["lengths"] += [[int(side.scored.sum()) for side in item.sequences] for item in batch]
    own: dict[str, Any] = {"tally": tally.as_dict(), **pairs}
    every = ranks.gather(own)
    tally = Tally.together(one["tally"] for one in every)
    means = {f"eval_{name}": value for name, value in tally.means().items()}
    if any(one["right"] for one in every):
        means |= _of_pairs(**{name: [x for one in every for x in one[name]] for name in pairs})
    return means


def _of_pairs(
    right: Sequence[float], prompts: Sequence[str], margins: Sequence[float], lengths: Sequence[Sequence[int]]
) -> dict[str, float]:
    """The accuracy's limits, the accuracy by which response is longer with its limits, and the calibration."""
    rate = win_rate_of(right, prompts)
    found: dict[str, float] = {f"eval_{ACCURACY}_low": rate.low, f"eval_{ACCURACY}_high": rate.high}
    for name, share in accuracy_by_length(right, [(a, b) for a, b in lengths], prompts).items():
        key = f"eval_{ACCURACY}/chosen_{name.replace(' ', '_')}"
        found |= {key: share.rate, f"{key}_low": share.low, f"{key}_high": share.high, f"{key}_num": float(share.num)}
    finite_N = np.array(margins, dtype=np.float64)
    if np.isfinite(finite_N).all():
        error = calibration_error(expit(finite_N), prompts)
        found["eval_rewards/ece"] = error.value
        if error.low is not None and error.high is not None:
            found |= {"eval_rewards/ece_low": error.low, "eval_rewards/ece_high": error.high}
    return found


def _prompt_of(item: Any) -> str:
    return hashlib.blake2b(item.sequences[0].context, digest_size=16).hexdigest()


def _first_tokens(item: Any) -> bytes:
    return order_key(item.sequences[0].ids)


@dataclass(frozen=True)
class _MicroBatches(Sequence[list[Any]]):
    """The micro-batches of this rank, each assembled on access."""

    items: Sequence[Any]
    packed: Sequence[Sequence[int]]

    @classmethod
    def of(cls, items: Sequence[Any], token_budget: int, *, share: bool) -> _MicroBatches:
        order: Iterable[int] = in_token_order(items, _first_tokens) if share else range(len(items))
        packed = list(pack_ordered(((i, items[i].sequences) for i in order), token_budget, share=share))
        return cls(items, ranks.dealt(packed))

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: Any) -> Any:
        return [self.items[i] for i in self.packed[index]]

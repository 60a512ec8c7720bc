"""Metrics on held-out items, measured the same way as in training, without a gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from penchant import ranks
from penchant.models.language_model import LanguageModel
from penchant.ranking.winrate import win_rate_of
from penchant.tokens.order import in_token_order, order_key
from penchant.tokens.packing import pack_ordered
from penchant.training.task import Tally, Task

__all__ = ["evaluate_task"]

ACCURACY = "rewards/accuracies"


def evaluate_task(model: LanguageModel, task: Task[Any], items: Sequence[Any], token_budget: int) -> dict[str, float]:
    """Mean loss and metrics over all items, each under its training name with the prefix `eval_`.

    To an objective that compares the pairs of a batch, all items are one batch. Of the accuracy, the limits of its 95%
    interval too, as `eval_rewards/accuracies_low` and `_high`; pairs of one prompt go together. Ranks share the
    micro-batches.
    """
    tally = Tally()
    right: list[float] = []
    prompts: list[str] = []
    micro_batches: Sequence[Sequence[Any]] = _MicroBatches.of(items, token_budget, share=model.shares)
    if task.knows_items:
        micro_batches = list(micro_batches)
    with torch.no_grad():
        task = task.for_batch(model, micro_batches)
        for batch in micro_batches:
            loss, metrics = task.losses(model, batch)
            tally.add(loss, sum(map(task.count, batch)), metrics)
            if ACCURACY in metrics:
                right += metrics[ACCURACY][0].tolist()
                prompts += [_prompt_of(item) for item in batch]
    own: dict[str, Any] = {"tally": tally.as_dict(), "right": right, "prompts": prompts}
    every = ranks.gather(own)
    tally = Tally.together(one["tally"] for one in every)
    means = {f"eval_{name}": value for name, value in tally.means().items()}
    if any(one["right"] for one in every):
        rate = win_rate_of([x for one in every for x in one["right"]], [x for one in every for x in one["prompts"]])
        means |= {f"eval_{ACCURACY}_low": rate.low, f"eval_{ACCURACY}_high": rate.high}
    return means


def _prompt_of(item: Any) -> str:
    return hashlib.blake2b(item.sequences[0].context, digest_size=16).hexdigest()


def _first_tokens(item: Any) -> bytes:
    return order_key(item.sequences[0].ids)


@dataclass(frozen=True)
class _MicroBatches(Sequence[list[Any]]):
    """The items of each micro-batch that falls to this rank, put together when it is asked for."""

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

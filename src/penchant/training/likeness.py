"""Measure CHES, how similar the sides of training pairs are to the untrained model, on a few pairs.

Pairs of the highest CHES make their chosen response less likely (Razin et al. 2024, arXiv 2410.08847): if that happens,
the report names them. CHES orders the pairs of one model; its values are not comparable across models.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Protocol

from penchant import ranks
from penchant.models.language_model import LanguageModel
from penchant.models.similarity import ches_of_pairs
from penchant.tokens import EncodedPair
from penchant.training.dataset import Dataset
from penchant.training.out_of_memory import TokenBudget

__all__ = ["likeness_at_start"]

SHARE = 0.03
"""The share of training pairs measured: one forward pass each, a third of a training step, is 1% of the time."""
FEWEST, NUM_NAMED = 10, 5


class Beginning(Protocol):
    """What this module reads of the loop before it starts."""

    model: LanguageModel
    data: Dataset[Any]
    num_steps: int
    steps_per_epoch: int
    token_budget: TokenBudget


def likeness_at_start(loop: Beginning, most: int) -> dict[str, Any]:
    """Measure CHES of a few pairs, as a fact of the ledger: its median and maximum, and the latter's pair.

    Nothing is measured if fewer than `FEWEST` pairs would be, for items that are not pairs, for a model with custom
    code that returns no hidden states, and in a run of several processes.
    """
    items: Sequence[Any] = loop.data.train
    num_trained = len(items) * loop.num_steps / loop.steps_per_epoch
    num = min(most, len(items), int(SHARE * num_trained))
    if num < FEWEST or ranks.size() > 1 or not loop.model.shares or not isinstance(items[0], EncodedPair):
        return {}
    some = [items[place * len(items) // num] for place in range(num)]
    values = ches_of_pairs(loop.model, some, token_budget=loop.token_budget.now)
    found = sorted(zip(values, (str(pair.origin) for pair in some), strict=True), reverse=True)
    named = [origin for _, origin in found[:NUM_NAMED]]
    return {"likeness": {"num": num, "median": median(values), "highest": found[0][0], "most_alike": named}}

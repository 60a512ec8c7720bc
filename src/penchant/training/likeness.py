"""How alike the sides of training pairs are to the model before its first step: CHES, of so few that it costs little.

Pairs of the highest CHES make their chosen response less likely (Razin et al. 2024, arXiv 2410.08847): where that
happens, the report names them. It orders the pairs of one model, and its size says nothing across models.
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
"""Of the pairs that are trained on: one is run forward once, a third of what a step takes of it: 1% of the time."""
FEWEST, NUM_NAMED = 10, 5


class Beginning(Protocol):
    """The loop that is about to begin."""

    model: LanguageModel
    data: Dataset[Any]
    num_steps: int
    steps_per_epoch: int
    token_budget: TokenBudget


def likeness_at_start(loop: Beginning, most: int) -> dict[str, Any]:
    """`likeness` of at most so many pairs as a fact of the ledger; CHES's median and highest, and whose it is.

    None are measured where fewer than `FEWEST` may be, of items that are no pairs, of a model whose own code gives no
    states, and in a run of several processes.
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

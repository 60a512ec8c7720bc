"""Auxiliary terms beside a preference objective: the SFT term, and weighted mixtures of terms.

Shapes: B pairs.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from penchant.objectives.batch import PairBatch, PairFunction
from penchant.objectives.objective import Objective, Paper

__all__ = ["ROWS", "mixture", "sft"]


def sft(batch: PairBatch) -> Tensor:
    """-log pi(chosen) / |w|: mean cross-entropy over the tokens of the chosen response.

    Beside a preference loss it keeps up the chosen log-prob, which DPO alone often lets fall together with the
    rejected one. It reads only the chosen response, and neither the soft label nor the margin.

    Args:
        batch: B pairs, with chosen lengths of at least one token; no reference needed.

    Returns:
        Tensor of shape (B,), in nats per token.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, sft
        >>> lengths = torch.tensor([5.0]), torch.tensor([4.0])
        >>> sft(PairBatch.hard(torch.tensor([-9.0]), torch.tensor([-12.0]), None, None, *lengths))
        tensor([1.8000])

    Reference:
        Iterative Reasoning Preference Optimization, arXiv 2404.19733, eq. 1 (the NLL term).
    """
    return -batch.policy_chosen_B / batch.length_chosen_B


def mixture(terms: Sequence[tuple[float, PairFunction]]) -> PairFunction:
    """The weighted sum of terms: loss_B = sum over terms of weight * term(batch).

    A term of weight 0 is not computed, so that its infinities cannot make the sum NaN. The weights need not add
    up to 1: (1, dpo) with (sft_weight, sft) is the usual case.

    Args:
        terms: (weight, function) with weights finite and >= 0, at least one above 0.

    Returns:
        A function from B pairs to a loss of shape (B,).

    Raises:
        ValueError: there are no terms, a weight is negative or not finite, or all weights are 0.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind, mixture
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> mixture([(1.0, bind("dpo", beta=0.1)), (0.5, bind("sft"))])(batch)
        tensor([1.4981])
    """
    for weight, _ in terms:
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of a term must be a finite number of at least 0, got {weight}")
    active = [(weight, term) for weight, term in terms if weight > 0]
    if not active:
        raise ValueError(f"a mixture needs a term of weight above 0, but none of its {len(terms)} terms has one")
    (first_weight, first), *others = active

    def total(batch: PairBatch) -> Tensor:
        loss_B = first_weight * first(batch)
        for weight, term in others:
            loss_B = loss_B + weight * term(batch)
        return loss_B

    return total


ROWS = (
    Objective(
        "sft",
        sft,
        formula="-log pi(chosen) / len_w",
        paper=Paper("Iterative Reasoning Preference Optimization", "2404.19733", "eq. 1, NLL term"),
        when="As an added term, when the chosen log-prob falls.",
        needs_reference=False,
        normalisation="mean",
    ),
)

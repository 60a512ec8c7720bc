"""Batch-coupled objectives, which compare distributions over a whole batch instead of single pairs.

Notation: e = label smoothing. Shapes: B pairs.
"""

import torch
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import BETA, WRONG_LABELS, Objective, Paper

__all__ = ["ROWS", "aot", "aot_unpaired"]


def aot(batch: PairBatch, *, beta: float, label_smoothing: float) -> Tensor:
    """cdpo with D replaced by sort(w - l under the policy) - sort(w - l under the reference).

    The policy's margins should stochastically dominate the reference's: the k-th smallest of one is compared with the
    k-th smallest of the other. Entry k of the loss belongs to that rank, not to a pair.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        label_smoothing: as in cdpo, 0 <= e < 0.5.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("aot", beta=0.1, label_smoothing=0.0)(batch)
        tensor([0.5981])

    Reference:
        Distributional Preference Alignment of LLMs via Optimal Transport, arXiv 2406.05882.
    """
    policy_B = torch.sort(batch.policy_chosen_B - batch.policy_rejected_B).values
    reference_chosen_B, reference_rejected_B = batch.reference
    reference_B = torch.sort(reference_chosen_B - reference_rejected_B).values
    return _dominance(beta * (policy_B - reference_B), label_smoothing)


def aot_unpaired(batch: PairBatch, *, beta: float, label_smoothing: float) -> Tensor:
    """cdpo with D replaced by sort(log-ratios of chosen) - sort(log-ratios of rejected).

    Chosen responses as a whole should dominate rejected ones; the pairing does not matter. Entry k belongs to that
    rank, not to a pair.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        label_smoothing: as in cdpo, 0 <= e < 0.5.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("aot_unpaired", beta=0.1, label_smoothing=0.0)(batch)
        tensor([0.5981])

    Reference:
        arXiv 2406.05882, the unpaired case.
    """
    chosen_B, rejected_B = torch.sort(batch.log_ratio_chosen_B).values, torch.sort(batch.log_ratio_rejected_B).values
    return _dominance(beta * (chosen_B - rejected_B), label_smoothing)


def _dominance(logit_B: Tensor, label_smoothing: float) -> Tensor:
    return preference_cross_entropy(logit_B, torch.full_like(logit_B, 1 - label_smoothing))


ROWS = (
    Objective(
        "aot",
        aot,
        formula="cdpo with D replaced by sort(log pi_w - log pi_l) - sort(the same of the reference), over the batch",
        paper=Paper("Distributional Preference Alignment of LLMs via Optimal Transport", "2406.05882", "paired"),
        when="When the worst margins matter, with large batches.",
        parameters={
            "beta": BETA,
            "label_smoothing": WRONG_LABELS.at(0.0),
        },
        batch_coupled=True,
    ),
    Objective(
        "aot_unpaired",
        aot_unpaired,
        formula="cdpo with D replaced by sort(s_w) - sort(s_l), over the batch",
        paper=Paper("Distributional Preference Alignment of LLMs via Optimal Transport", "2406.05882", "unpaired"),
        when="For good and bad responses without common prompts, with large batches.",
        parameters={
            "beta": BETA,
            "label_smoothing": WRONG_LABELS.at(0.0),
        },
        batch_coupled=True,
    ),
)

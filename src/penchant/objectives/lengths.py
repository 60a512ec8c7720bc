"""Objectives that account for length, so that the longer answer no longer wins for its length.

Notation: D = delta, p = soft label, m = margin, |w| and |l| = completion tokens of the two sides. Shapes: B pairs.
"""

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import BETA, Objective, Paper, Parameter

__all__ = ["ROWS", "dpo_norm", "r_dpo"]


def dpo_norm(batch: PairBatch, *, beta: float) -> Tensor:
    """dpo with D replaced by log_ratio_w / |w| - log_ratio_l / |l|.

    The reward is an average per token, so beta has a different scale from dpo's.

    Args:
        batch: B pairs with a reference and lengths of at least one token; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpo_norm", beta=2.0)(batch)
        tensor([0.3412])

    Reference:
        Tulu 3: Pushing Frontiers in Open Language Model Post-Training, arXiv 2411.15124, eq. 6.
    """
    chosen_B = batch.log_ratio_chosen_B / batch.length_chosen_B
    rejected_B = batch.log_ratio_rejected_B / batch.length_rejected_B
    return preference_cross_entropy(beta * (chosen_B - rejected_B) - batch.margin_B, batch.probability_B)


def r_dpo(batch: PairBatch, *, beta: float, alpha: float) -> Tensor:
    """dpo with z = beta D + alpha (|w| - |l|) - m.

    The optimum for a reward with a cost of alpha per token: if the chosen response is longer, its length explains part
    of the preference, and its log-ratio is raised less.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.
        alpha: reward subtracted per token, >= 0; 0 is dpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("r_dpo", beta=0.1, alpha=0.05)(batch)
        tensor([0.5759])

    Reference:
        Disentangling Length from Quality in Direct Preference Optimization, arXiv 2403.19159, eq. 9.
    """
    longer_B = batch.length_chosen_B - batch.length_rejected_B
    return preference_cross_entropy(beta * batch.delta_B + alpha * longer_B - batch.margin_B, batch.probability_B)


ROWS = (
    Objective(
        "dpo_norm",
        dpo_norm,
        formula="dpo with D replaced by s_w / len_w - s_l / len_l",
        paper=Paper("Tulu 3", "2411.15124", "eq. 6"),
        when="When lengths differ much and answers grow longer; use a larger beta.",
        parameters={"beta": BETA.at(5.0)},
        reads={"probability", "margin"},
        normalisation="mean",
    ),
    Objective(
        "r_dpo",
        r_dpo,
        formula="dpo with z = beta D + alpha (len_w - len_l) - m",
        paper=Paper("Disentangling Length from Quality in DPO", "2403.19159", "eq. 9"),
        when="When people chose the longer answer too often.",
        parameters={
            "beta": BETA,
            "alpha": Parameter(0.01, "reward subtracted per extra token", at_least=0),
        },
        reads={"probability", "margin"},
    ),
)

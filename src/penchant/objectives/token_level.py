"""Token-level DPO, which adds the divergence of the policy's whole distribution at every token.

Notation as in `pairwise.py`, and K_w, K_l = the sequential KL of chosen and rejected, `PairBatch.sequential_kl`: the
sum over a response's tokens t of KL(pi_ref(. | x, y_<t) || pi(. | x, y_<t)), each over the whole vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import BETA, Objective, Paper, Parameter

__all__ = ["ROWS", "tdpo1", "tdpo2"]


def tdpo1(batch: PairBatch, *, beta: float) -> Tensor:
    """-p logsigmoid(z) - (1 - p) logsigmoid(-z), where z = beta (D - (K_l - K_w)) - m.

    Under the Bradley-Terry model the reward of a response is its log-ratio plus its sequential KL. The gradient flows
    through both KLs: that of the chosen response is free to grow.

    Args:
        batch: B pairs with a reference and its KL; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Raises:
        ValueError: the pairs have no reference, or no KL.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> from penchant.objectives import PairBatch, tdpo1
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> tdpo1(replace(batch, kl_chosen_B=torch.tensor([0.5]), kl_rejected_B=torch.tensor([1.5])), beta=0.1)
        tensor([0.6444])

    Reference:
        Token-level Direct Preference Optimization, arXiv 2404.11999, the loss TDPO1.
    """
    chosen_B, rejected_B = batch.sequential_kl
    return preference_cross_entropy(
        beta * (batch.delta_B - (rejected_B - chosen_B)) - batch.margin_B, batch.probability_B
    )


def tdpo2(batch: PairBatch, *, beta: float, alpha: float) -> Tensor:
    """-logsigmoid(beta (D - alpha (K_l - sg(K_w))) - m), where sg lets no gradient through.

    Like `tdpo1`, with a weight on the KLs; the rejected response is held to the reference at every token, and the KL of
    the chosen one only sets how closely. alpha = 0 is `dpo`. A soft label gives the expected loss over which side won;
    the KL of the winner has no gradient.

    Args:
        batch: B pairs with a reference and its KL; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.
        alpha: weight of the sequential KLs relative to the log-ratios, >= 0.

    Returns:
        Tensor of shape (B,), in nats.

    Raises:
        ValueError: the pairs have no reference, or no KL.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> from penchant.objectives import PairBatch, tdpo2
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> batch = replace(batch, kl_chosen_B=torch.tensor([0.5]), kl_rejected_B=torch.tensor([1.5]))
        >>> tdpo2(batch, beta=0.1, alpha=0.5)
        tensor([0.6210])

    Reference:
        Token-level Direct Preference Optimization, arXiv 2404.11999, the loss TDPO2; sign, stop-gradient and alpha as
        in the authors' code.
    """
    chosen_B, rejected_B = batch.sequential_kl
    won_B = beta * (batch.delta_B - alpha * (rejected_B - chosen_B.detach())) - batch.margin_B
    lost_B = beta * (-batch.delta_B - alpha * (chosen_B - rejected_B.detach())) + batch.margin_B
    return -batch.probability_B * F.logsigmoid(won_B) - (1 - batch.probability_B) * F.logsigmoid(lost_B)


ROWS = (
    Objective(
        "tdpo1",
        tdpo1,
        formula="dpo with D replaced by D - (K_l - K_w)",
        paper=Paper("Token-level Direct Preference Optimization", "2404.11999", "TDPO1 loss"),
        when="Like tdpo2, at low learning rates; needs twice the model's weights without an adapter.",
        parameters={"beta": BETA},
        reads={"probability", "margin", "kl"},
    ),
    Objective(
        "tdpo2",
        tdpo2,
        formula="dpo with D replaced by D - alpha (K_l - sg(K_w)), sg: without a gradient",
        paper=Paper("Token-level Direct Preference Optimization", "2404.11999", "TDPO2 loss"),
        when="When dpo drifts far on rejected responses; needs twice the model's weights without an adapter.",
        parameters={
            "beta": BETA,
            "alpha": Parameter(0.5, "weight of the sequential KLs relative to the log-ratios", at_least=0),
        },
        reads={"probability", "margin", "kl"},
    ),
)

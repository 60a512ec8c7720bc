"""The disentanglement band: rescale the gradients of a pair's two sides for any pairwise objective.

Every objective moves a pair by d_w grad log pi(chosen) - d_l grad log pi(rejected), where d_w = -dL/dlog pi_w and
d_l = dL/dlog pi_l. The chosen response rises while the rejected one falls where r = d_w / d_l lies within
[rho a, a / rho], a = |grad log pi_l| / |grad log pi_w| and rho the cosine between the two (arXiv 2604.18239).
Shapes: B pairs.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from penchant.objectives.batch import PairBatch, PairFunction

__all__ = ["in_band"]


def in_band(function: PairFunction, *, ratio: float, rho: float) -> PairFunction:
    """Keep the losses but rescale the gradients of pairs whose r is outside the band, to bring r inside.

    With k = sqrt(clamp(r, rho a, a / rho) / r) the gradient factor of the chosen side becomes k d_w and that of the
    rejected side d_l / k, so that their product is unchanged. A pair with d_w or d_l not above 0 is left as it is. This
    is the paper's calibration, per pair, with a and rho given rather than measured.

    Args:
        function: an objective with its parameters set.
        ratio: a, > 0.
        rho: 0 < rho <= 1; 1 forces r = a.

    Returns:
        A function from B pairs to losses of shape (B,).

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind, in_band
        >>> numbers = torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]])
        >>> chosen_B, rejected_B = (numbers[i].requires_grad_() for i in (0, 1))
        >>> batch = PairBatch.hard(chosen_B, rejected_B, *numbers[2:].detach())
        >>> loss_B = in_band(bind("dpo", beta=0.1), ratio=4.0, rho=1.0)(batch)
        >>> pull_w, pull_l = torch.autograd.grad(loss_B.sum(), (chosen_B, rejected_B))
        >>> -pull_w / pull_l
        tensor([4.])

    Reference:
        Towards Disentangled Preference Optimization Dynamics, arXiv 2604.18239, reward calibration.
    """

    def banded(batch: PairBatch) -> Tensor:
        with torch.enable_grad():
            sides = [side.detach().requires_grad_() for side in (batch.policy_chosen_B, batch.policy_rejected_B)]
            still_B = function(replace(batch, policy_chosen_B=sides[0], policy_rejected_B=sides[1]))
            chosen_B, rejected_B = torch.autograd.grad(still_B.sum(), sides, materialize_grads=True)
        pulls_apart_B = (chosen_B < 0) & (rejected_B > 0)
        r_B = torch.where(pulls_apart_B, -chosen_B / rejected_B, ratio)
        k_B = (r_B.clamp(rho * ratio, ratio / rho) / r_B).sqrt()
        change_B = (k_B - 1) * chosen_B * (batch.policy_chosen_B - batch.policy_chosen_B.detach())
        change_B = change_B + (1 / k_B - 1) * rejected_B * (batch.policy_rejected_B - batch.policy_rejected_B.detach())
        return function(batch) + change_B

    return banded

"""Token weights within a response's log-prob: log pi(y) becomes sum over t of w_t log pi(y_t).

An objective with token weights is a standard objective computed from these sums, under policy and reference alike.
Shapes: n completion tokens.
"""

import torch
from torch import Tensor

from penchant.objectives.objective import BETA, Objective, Paper, Parameter
from penchant.objectives.pairwise import dpo

__all__ = ["ROWS", "decaying", "desensitised"]


def desensitised(length: int, other_length: int, *, ld_alpha: float) -> Tensor:
    """LD-DPO: tokens beyond the length of the shorter response have weight `ld_alpha`.

    Args:
        length: n, completion tokens of this response.
        other_length: completion tokens of the other response.
        ld_alpha: 1 is the objective without weights, 0 truncates the longer response to the shorter one's length.

    Returns:
        Tensor of shape (n,).

    Example:
        >>> from penchant.objectives import desensitised
        >>> desensitised(4, 2, ld_alpha=0.5), desensitised(2, 4, ld_alpha=0.5)
        (tensor([1.0000, 1.0000, 0.5000, 0.5000]), tensor([1., 1.]))

    Reference:
        Length Desensitization in Direct Preference Optimization, arXiv 2409.06411.
    """
    weight = torch.ones(length)
    weight[other_length:] = ld_alpha
    return weight


def decaying(length: int, _other_length: int, *, gamma: float) -> Tensor:
    """D2PO: token t (from 0) has weight gamma^t, so that early tokens decide.

    Args:
        length: n, completion tokens of this response.
        gamma: decay per token, 0 < gamma <= 1; 1 is the objective without weights.

    Returns:
        Tensor of shape (n,).

    Example:
        >>> from penchant.objectives import decaying
        >>> decaying(3, 9, gamma=0.5)
        tensor([1.0000, 0.5000, 0.2500])

    Reference:
        Earlier Tokens Contribute More, arXiv 2502.14340.
    """
    return torch.tensor(gamma) ** torch.arange(length)


ROWS = (
    Objective(
        "ld_dpo",
        dpo,
        formula="dpo, where tokens past the shorter response's length count ld_alpha",
        paper=Paper("Length Desensitization in DPO", "2409.06411", "LD-DPO loss"),
        when="When longer responses win by length alone; tokens up to the shorter length count fully.",
        parameters={
            "beta": BETA,
            "ld_alpha": Parameter(0.5, "weight of tokens beyond the shorter response's length", at_least=0, at_most=1),
        },
        reads={"probability", "margin"},
        token_weights=desensitised,
    ),
    Objective(
        "d2po",
        dpo,
        formula="dpo, where token t = 0, 1, ... of a response counts gamma^t",
        paper=Paper("Earlier Tokens Contribute More", "2502.14340", "D2PO loss"),
        when="For long responses that are decided early, or answers that grow longer.",
        parameters={
            "beta": BETA,
            "gamma": Parameter(0.98, "decay of the weight per token", above=0, at_most=1),
        },
        reads={"probability", "margin"},
        token_weights=decaying,
    ),
)

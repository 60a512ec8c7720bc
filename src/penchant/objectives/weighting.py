"""Weight each pair by how likely the policy itself would generate it.

Shapes: B pairs.
"""

import torch
from torch import Tensor

__all__ = ["wpo_weight"]


def wpo_weight(alignment_chosen_B: Tensor, alignment_rejected_B: Tensor) -> Tensor:
    """WPO: exp(alignment of chosen) exp(alignment of rejected), without a gradient.

    The alignment of a response is the mean over its tokens of log pi(y_t) - log sum_v pi(v)^2: how likely each token
    was compared with a token drawn from the policy. A pair that the policy would hardly generate counts little, which
    brings off-policy training closer to on-policy training. By Jensen's inequality the policy's own samples have an
    alignment of at most 0 on average; a response of likelier tokens than its samples gets a weight above 1.

    Args:
        alignment_chosen_B: alignment of the chosen responses, shape (B,), in nats per token.
        alignment_rejected_B: the same for the rejected ones.

    Returns:
        Tensor of shape (B,), greater than 0: a factor on the pair's loss.

    Example:
        >>> import math, torch
        >>> from penchant.objectives import wpo_weight
        >>> wpo_weight(torch.tensor([math.log(0.5)]), torch.tensor([0.0]))
        tensor([0.5000])

    Reference:
        WPO: Enhancing RLHF with Weighted Preference Optimization, arXiv 2406.11827, eq. 2 and section 3.2.
    """
    return torch.exp(alignment_chosen_B + alignment_rejected_B).detach()

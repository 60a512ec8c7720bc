"""A weight for each pair from how likely the policy itself is to write it.

Shapes: B pairs.
"""

import torch
from torch import Tensor

__all__ = ["wpo_weight"]


def wpo_weight(alignment_chosen_B: Tensor, alignment_rejected_B: Tensor) -> Tensor:
    """WPO: exp(alignment of chosen) exp(alignment of rejected), without a gradient.

    The alignment of a response is the mean over its tokens of log pi(y_t) - log sum_v pi(v)^2: how likely each token
    was beside a token the policy would have drawn. A pair the policy would hardly write itself counts little, so that
    training on others' responses comes closer to training on its own. By Jensen's inequality the policy's own draws
    have an alignment of at most 0 on average; a response of likelier tokens than its draws gets a weight above 1.

    Args:
        alignment_chosen_B: alignment of the chosen responses, shape (B,), in nats a token.
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

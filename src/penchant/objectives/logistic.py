"""The cross-entropy between a soft label and the preference that the model predicts.

Shapes: B pairs.
"""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["preference_cross_entropy"]


def preference_cross_entropy(logit_B: Tensor, probability_B: Tensor) -> Tensor:
    """-p logsigmoid(z) - (1 - p) logsigmoid(-z): every Bradley-Terry objective has this form, with its own z.

    Args:
        logit_B: z, the model's log-odds of chosen over rejected, shape (B,).
        probability_B: p, the soft label in [0, 1], shape (B,).

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives.logistic import preference_cross_entropy
        >>> preference_cross_entropy(torch.tensor([0.0, 2.0]), torch.tensor([0.3, 1.0]))
        tensor([0.6931, 0.1269])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 1 (Bradley-Terry) and eq. 7.
    """
    # logsigmoid, not log(sigmoid): the latter is log 0 once the logit falls below about -100 in float32.
    return -probability_B * F.logsigmoid(logit_B) - (1 - probability_B) * F.logsigmoid(-logit_B)

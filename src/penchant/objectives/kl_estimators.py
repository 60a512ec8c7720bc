"""Estimate KL(policy || reference) from the policy's samples, and adapt the coefficient of the KL penalty.

Shapes: N log-ratios, of tokens or of whole responses; the KL is that of the same unit.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

__all__ = ["KL_ESTIMATORS", "adapted_coefficient", "k1", "k2", "k3"]


def k1(log_ratio_N: Tensor) -> Tensor:
    """k1 = s, s = log pi(y) - log pi_ref(y): unbiased; single values may be below 0.

    In the reward it gives the gradient of the KL. In the loss its expected gradient is 0: E[grad log pi] = 0.

    Example:
        >>> import torch
        >>> from penchant.objectives import k1
        >>> k1(torch.tensor([1.0, -1.0]))
        tensor([ 1., -1.])

    Reference:
        Approximating KL Divergence, J. Schulman 2020, http://joschu.net/blog/kl-approx.html.
    """
    return log_ratio_N


def k2(log_ratio_N: Tensor) -> Tensor:
    """k2 = s^2 / 2: at least 0; its mean is close to the KL if the policies are close.

    In the loss it gives the gradient of the KL, s grad log pi, if s is that of a whole response (or of a single
    decision); per token it ignores that a token changes which tokens follow.

    Example:
        >>> import torch
        >>> from penchant.objectives import k2
        >>> k2(torch.tensor([1.0, -1.0]))
        tensor([0.5000, 0.5000])

    Reference:
        J. Schulman 2020, as k1; On a few pitfalls in KL divergence gradient estimation for RL, arXiv 2506.09477.
    """
    return log_ratio_N**2 / 2


def k3(log_ratio_N: Tensor) -> Tensor:
    """k3 = exp(-s) - 1 + s: at least 0, and unbiased.

    In the loss its gradient is that of KL(reference || policy), (1 - exp(-s)) grad log pi.

    Example:
        >>> import torch
        >>> from penchant.objectives import k3
        >>> k3(torch.tensor([1.0, -1.0]))
        tensor([0.3679, 0.7183])

    Reference:
        J. Schulman 2020, as k1; DeepSeekMath, arXiv 2402.03300, eq. 4.
    """
    return torch.expm1(-log_ratio_N) + log_ratio_N


KL_ESTIMATORS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({"k1": k1, "k2": k2, "k3": k3})
"""Estimators by name. In the reward, detach the log-ratio; in the loss, the gradient flows through it."""


def adapted_coefficient(beta: float, kl: float, target: float, *, gain: float = 0.1) -> float:
    """beta (1 + gain e), e = min(max((KL - target) / target, -0.2), 0.2): larger above the target, smaller below.

    Args:
        beta: the current KL coefficient.
        kl: the mean KL of the responses since the last update, in nats per response.
        target: the desired KL, > 0.
        gain: the speed of adaptation, in [0, 5); the responses since the last update / a horizon make it independent of
            the batch size.

    Returns:
        beta for the next step, > 0.

    Example:
        >>> from penchant.objectives import adapted_coefficient
        >>> round(adapted_coefficient(0.05, kl=9.0, target=6.0), 6), round(adapted_coefficient(0.05, 6.3, 6.0), 6)
        (0.051, 0.05025)

    Reference:
        Fine-Tuning Language Models from Human Preferences, arXiv 1909.08593, section 2.2.
    """
    return beta * (1 + gain * min(max((kl - target) / target, -0.2), 0.2))

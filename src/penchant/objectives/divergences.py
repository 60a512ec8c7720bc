"""DPO under divergences other than the reverse KL: the log-ratio r is replaced by f'(exp r).

Every f-divergence as regulariser gives the reward beta f'(pi / pi_ref), up to a constant of the prompt, and hence its
own DPO loss; for the reverse KL f' is log, which gives dpo. Notation: r = log pi - log pi_ref of a response, in nats,
z = beta (f'(r_w) - f'(r_l)) - m, p = soft label. Shapes: B pairs.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import BETA, Objective, Paper, Parameter

__all__ = ["ROWS", "chi_po", "dpo_alpha", "dpo_forward_kl", "dpo_js"]

CHI_EXPONENT = 20.0
"""Cap of log(pi / pi_ref) in chi_po, in nats: beyond it the exponential would dominate every other pair."""


def dpo_forward_kl(batch: PairBatch, *, beta: float) -> Tensor:
    """dpo with f'(r) = 1 - exp(-r).

    Forward KL covers the modes of the reference: a response that loses likelihood is penalised exponentially, one that
    gains earns at most beta.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpo_forward_kl", beta=0.1)(batch)
        tensor([0.5825])

    Reference:
        Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse Divergence Constraints,
        arXiv 2309.16240, table 1.
    """
    return _of_divergence(batch, beta, lambda r: 1 - _capped_exp(-r))


def dpo_js(batch: PairBatch, *, beta: float) -> Tensor:
    """dpo with f'(r) = log 2 + logsigmoid(r): the Jensen-Shannon divergence.

    Bounded above by beta log 2: further gains in likelihood soon earn almost nothing.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpo_js", beta=0.1)(batch)
        tensor([0.6444])

    Reference:
        arXiv 2309.16240, table 1.
    """
    return _of_divergence(batch, beta, lambda r: math.log(2) + F.logsigmoid(r))


def dpo_alpha(batch: PairBatch, *, beta: float, divergence_alpha: float) -> Tensor:
    """dpo with f'(r) = (1 - exp(-alpha r)) / alpha; at alpha = 0 its limit r, which is dpo.

    alpha = 1 is the forward KL; values between 0 and 1 interpolate. It is the paper's alpha, and 1 minus TRL's
    f_alpha_divergence_coef.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.
        divergence_alpha: alpha, 0 <= alpha <= 1.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpo_alpha", beta=0.1, divergence_alpha=0.25)(batch)
        tensor([0.5972])

    Reference:
        arXiv 2309.16240, table 1.
    """
    if divergence_alpha == 0:
        return _of_divergence(batch, beta, lambda r: r)
    return _of_divergence(batch, beta, lambda r: (1 - _capped_exp(-divergence_alpha * r)) / divergence_alpha)


def chi_po(batch: PairBatch, *, beta: float) -> Tensor:
    """dpo with f'(r) = exp(r) + r, the sum of the ratio and its logarithm.

    Adds the chi-squared divergence to the KL: pessimism about responses that the data does not cover, which DPO lacks
    when it over-optimises. The exponent is capped at 20 nats.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("chi_po", beta=0.1)(batch)
        tensor([0.4991])

    Reference:
        Correcting the Mythos of KL-Regularization: Direct Alignment without Overoptimization via Chi-Squared
        Preference Optimization, arXiv 2407.13399, algorithm 1, without its clipping of the difference.
    """
    return _of_divergence(batch, beta, lambda r: torch.exp(r.clamp(max=CHI_EXPONENT)) + r)


def _of_divergence(batch: PairBatch, beta: float, slope: Callable[[Tensor], Tensor]) -> Tensor:
    rewards_B = slope(batch.log_ratio_chosen_B) - slope(batch.log_ratio_rejected_B)
    return preference_cross_entropy(beta * rewards_B - batch.margin_B, batch.probability_B)


def _capped_exp(x: Tensor) -> Tensor:
    """exp that stays finite, with room for the differences and products that follow."""
    return torch.exp(x.clamp(max=math.log(torch.finfo(x.dtype).max) - 8))


ROWS = (
    Objective(
        "dpo_forward_kl",
        dpo_forward_kl,
        formula="dpo with s replaced by 1 - exp(-s)",
        paper=Paper("Beyond Reverse KL", "2309.16240", "table 1"),
        when="When diversity matters more than the last point of reward.",
        parameters={"beta": BETA},
        reads={"probability", "margin"},
    ),
    Objective(
        "dpo_js",
        dpo_js,
        formula="dpo with s replaced by log 2 + logsigmoid(s)",
        paper=Paper("Beyond Reverse KL", "2309.16240", "table 1"),
        when="For a compromise between forward and reverse KL.",
        parameters={"beta": BETA},
        reads={"probability", "margin"},
    ),
    Objective(
        "dpo_alpha",
        dpo_alpha,
        formula="dpo with s replaced by (1 - exp(-divergence_alpha s)) / divergence_alpha",
        paper=Paper("Beyond Reverse KL", "2309.16240", "table 1"),
        when="To interpolate between dpo (0) and forward KL (1); TRL's f_alpha_divergence_coef is 1 minus it.",
        parameters={
            "beta": BETA,
            "divergence_alpha": Parameter(0.5, "0 is dpo, 1 the forward KL", at_least=0, at_most=1),
        },
        retired={
            "alpha": "it was 1 minus the paper's alpha; write divergence_alpha, which is the paper's: 1 minus what "
            "alpha was, and 1 minus TRL's f_alpha_divergence_coef"
        },
        reads={"probability", "margin"},
    ),
    Objective(
        "chi_po",
        chi_po,
        formula="dpo with s replaced by exp(min(s, 20)) + s",
        paper=Paper("Correcting the Mythos of KL-Regularization", "2407.13399", "algorithm 1, without its clipping"),
        when="For long training on little data, where dpo over-optimises.",
        parameters={"beta": BETA},
        reads={"probability", "margin"},
    ),
)

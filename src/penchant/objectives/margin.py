"""Objectives that, like DPO, depend on a pair only through D, the difference of its log-ratios.

Notation as in pairwise.py: D = delta, p = soft label, m = margin, e = label smoothing. Shapes: B pairs.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import BETA, WRONG_LABELS, Objective, Paper, Parameter

__all__ = ["ROWS", "discopop", "exo_pair", "hinge", "robust"]


def hinge(batch: PairBatch, *, beta: float) -> Tensor:
    """p relu(1 - z) + (1 - p) relu(1 + z), where z = beta D - m.

    A pair separated by one unit of reward has no gradient, whereas the logistic loss always has one.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in units of reward.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("hinge", beta=0.1)(batch)
        tensor([0.8000])

    Reference:
        Statistical Rejection Sampling Improves Preference Optimization, arXiv 2309.06657 (hinge-norm); the loss is
        that of SLiC-HF, arXiv 2305.10425, on log-ratios.
    """
    z_B = beta * batch.delta_B - batch.margin_B
    return batch.probability_B * F.relu(1 - z_B) + (1 - batch.probability_B) * F.relu(1 + z_B)


def robust(batch: PairBatch, *, beta: float, label_smoothing: float) -> Tensor:
    """[-(1 - e) logsigmoid(beta D) + e logsigmoid(-beta D)] / (1 - 2e).

    If each label was flipped with probability e, the expectation of this over the flips is the DPO loss of the true
    label: an unbiased estimate, whereas cdpo is biased. Single terms may be negative, and the variance is larger.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        label_smoothing: probability that a label was flipped, 0 <= e < 0.5.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("robust", beta=0.1, label_smoothing=0.1)(batch)
        tensor([0.5731])

    Reference:
        Provably Robust DPO: Aligning Language Models with Noisy Feedback, arXiv 2403.00409.
    """
    z_B = beta * batch.delta_B
    kept_B, flipped_B = -F.logsigmoid(z_B), -F.logsigmoid(-z_B)
    return ((1 - label_smoothing) * kept_B - label_smoothing * flipped_B) / (1 - 2 * label_smoothing)


def exo_pair(batch: PairBatch, *, beta: float, label_smoothing: float) -> Tensor:
    """q (log q - log(1 - e)) + (1 - q) (log(1 - q) - log e), where q = sigmoid(beta D).

    The reverse KL divergence from the smoothed label (1 - e, e) to the preference q of the policy, where DPO
    minimises the forward one. Zero exactly where q = 1 - e.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        label_smoothing: probability that the label assigns to the rejected side, 0 < e < 0.5.

    Returns:
        Tensor of shape (B,), in nats, >= 0.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("exo_pair", beta=0.1, label_smoothing=0.1)(batch)
        tensor([0.4063])

    Reference:
        Towards Efficient Exact Optimization of Language Model Alignment, arXiv 2402.00856, eq. 16.
    """
    z_B = beta * batch.delta_B
    wins_B = torch.sigmoid(z_B) * (F.logsigmoid(z_B) - math.log1p(-label_smoothing))
    return wins_B + torch.sigmoid(-z_B) * (F.logsigmoid(-z_B) - math.log(label_smoothing))


def discopop(batch: PairBatch, *, beta: float, tau: float) -> Tensor:
    """(1 - g) (-logsigmoid(z)) + g exp(-z), where z = beta D and g = sigmoid(z / tau).

    Found by a language model that searched for losses: logistic where the pair is ranked wrongly, exponential where it
    is ranked right. It is not convex; near z = 0 it dips.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        tau: width of the transition between the two losses, in units of reward, 0 < tau < 1.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("discopop", beta=0.05, tau=0.05)(batch)
        tensor([0.8738])

    Reference:
        Discovering Preference Optimization Algorithms with and for Large Language Models, arXiv 2406.08414, eq. 5.
    """
    z_B = beta * batch.delta_B
    logistic_B = -torch.sigmoid(-z_B / tau) * F.logsigmoid(z_B)
    # g exp(-z) as one exponential: for a pair far on the wrong side g is 0 and exp(-z) is infinite.
    return logistic_B + torch.exp(F.logsigmoid(z_B / tau) - z_B)


ROWS = (
    Objective(
        "robust",
        robust,
        formula="[-(1-e) logsigmoid(beta D) + e logsigmoid(-beta D)] / (1-2e), e = label_smoothing",
        paper=Paper("Provably Robust DPO", "2403.00409", "rDPO loss"),
        when="When labels were flipped at a known rate and there are many: unbiased, with larger variance.",
        parameters={
            "beta": BETA,
            "label_smoothing": WRONG_LABELS,
        },
    ),
    Objective(
        "hinge",
        hinge,
        formula="p relu(1-z) + (1-p) relu(1+z), z = beta D - m",
        paper=Paper("Statistical Rejection Sampling Improves Preference Optimization", "2309.06657", "hinge-norm"),
        when="When pairs that the model already ranks clearly should no longer count.",
        parameters={"beta": BETA},
        reads={"probability", "margin"},
    ),
    Objective(
        "exo_pair",
        exo_pair,
        formula="q (log q - log(1-e)) + (1-q) (log(1-q) - log e), q = sigmoid(beta D), e = label_smoothing",
        paper=Paper("Towards Efficient Exact Optimization of Language Model Alignment", "2402.00856", "eq. 16"),
        when="When the policy should seek one mode of the optimum rather than cover it.",
        parameters={
            "beta": BETA,
            "label_smoothing": Parameter(0.001, "probability of the rejected side under the label", above=0, below=0.5),
        },
    ),
    Objective(
        "discopop",
        discopop,
        formula="(1-g) (-logsigmoid(z)) + g exp(-z), z = beta D, g = sigmoid(z / tau)",
        paper=Paper("Discovering Preference Optimization Algorithms", "2406.08414", "eq. 5"),
        when="For comparison with a loss found by search, not derived.",
        parameters={
            "beta": BETA.at(0.05),
            "tau": Parameter(
                0.05, "width of the change from one loss to the other, in units of reward", above=0, below=1
            ),
        },
    ),
)

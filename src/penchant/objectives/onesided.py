"""Objectives that treat each side separately: the chosen response should rise, not only the difference.

Notation: s_w and s_l are the log-ratios of chosen and rejected, in nats. All need hard labels. Shapes: B pairs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import BETA, Objective, Paper, Parameter

__all__ = ["ROWS", "apo_down", "apo_zero", "bco_pair", "dpo_shift", "dpop", "nca_pair", "sppo_hard"]


def nca_pair(batch: PairBatch, *, beta: float) -> Tensor:
    """-logsigmoid(r_w) - (logsigmoid(-r_w) + logsigmoid(-r_l)) / 2, where r = beta s.

    Noise contrastive: each side is distinguished from a sample of the reference, which keeps up the likelihood of the
    chosen response.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("nca_pair", beta=0.1)(batch)
        tensor([1.3388])

    Reference:
        Noise Contrastive Alignment of Language Models with Explicit Rewards, arXiv 2402.05369.
    """
    chosen_B, rejected_B = beta * batch.log_ratio_chosen_B, beta * batch.log_ratio_rejected_B
    return -F.logsigmoid(chosen_B) - 0.5 * F.logsigmoid(-chosen_B) - 0.5 * F.logsigmoid(-rejected_B)


def bco_pair(batch: PairBatch, *, beta: float) -> Tensor:
    """-logsigmoid(r_w) - logsigmoid(-r_l), where r = beta s.

    A classifier of good and bad whose logit is the implicit reward. The paper also subtracts a running mean of the
    rewards from both; without it the threshold is zero.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("bco_pair", beta=0.1)(batch)
        tensor([1.2888])

    Reference:
        Binary Classifier Optimization for Large Language Model Alignment, arXiv 2404.04656, without its shift.
    """
    return -F.logsigmoid(beta * batch.log_ratio_chosen_B) - F.logsigmoid(-beta * batch.log_ratio_rejected_B)


def sppo_hard(batch: PairBatch, *, beta: float) -> Tensor:
    """(s_w - 1/(2 beta))^2 + (s_l + 1/(2 beta))^2.

    Self-play with a winning probability of 1: each log-ratio has its own target.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: inverse of the paper's eta, > 0.

    Returns:
        Tensor of shape (B,), in nats squared.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("sppo_hard", beta=0.5)(batch)
        tensor([0.])

    Reference:
        Self-Play Preference Optimization for Language Model Alignment, arXiv 2405.00675, eq. 4.7.
    """
    target = 1 / (2 * beta)
    return (batch.log_ratio_chosen_B - target) ** 2 + (batch.log_ratio_rejected_B + target) ** 2


def apo_zero(batch: PairBatch, *, beta: float) -> Tensor:
    """1 - sigmoid(beta s_w) + sigmoid(beta s_l): raises the chosen, lowers the rejected.

    For chosen responses that are better than the model's own outputs.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in (0, 2).

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("apo_zero", beta=0.1)(batch)
        tensor([0.9500])

    Reference:
        Anchored Preference Optimization and Contrastive Revisions, arXiv 2408.06266, eq. 7.
    """
    return torch.sigmoid(-beta * batch.log_ratio_chosen_B) + torch.sigmoid(beta * batch.log_ratio_rejected_B)


def apo_down(batch: PairBatch, *, beta: float) -> Tensor:
    """sigmoid(beta s_w) + 1 - sigmoid(beta D): lowers both, the rejected more.

    For chosen responses that are worse than the model's own outputs.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in (0, 2).

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("apo_down", beta=0.1)(batch)
        tensor([0.9751])

    Reference:
        Anchored Preference Optimization and Contrastive Revisions, arXiv 2408.06266, eq. 8.
    """
    return torch.sigmoid(beta * batch.log_ratio_chosen_B) + torch.sigmoid(-beta * batch.delta_B)


def dpo_shift(batch: PairBatch, *, beta: float, shift: float) -> Tensor:
    """-logsigmoid(beta (s_w - shift s_l)): dpo with less weight on the rejected side.

    DPO is indifferent between raising the chosen response and lowering both, the rejected one further; here a nat of
    the rejected log-ratio counts only `shift` nats of the chosen one's, so the chosen response keeps its probability
    and the margin grows less.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        shift: weight of the rejected log-ratio, 0 < shift <= 1; 1 is dpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpo_shift", beta=0.1, shift=0.5)(batch)
        tensor([0.6210])

    Reference:
        DPO-Shift: Shifting the Distribution of Direct Preference Optimization, arXiv 2502.07599; f(lambda) of the
        paper, held fixed, is `shift`.
    """
    return -F.logsigmoid(beta * (batch.log_ratio_chosen_B - shift * batch.log_ratio_rejected_B))


def dpop(batch: PairBatch, *, beta: float, penalty: float) -> Tensor:
    """-logsigmoid(beta (D - penalty max(0, -s_w))).

    DPO with a penalty if the chosen response has become less likely than under the reference.

    Args:
        batch: B pairs with a reference and hard labels.
        beta: strength of the pull to the reference, > 0.
        penalty: the paper's lambda, >= 0; 0 is dpo.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-11.0], [-14.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("dpop", beta=0.1, penalty=5.0)(batch)
        tensor([0.8544])

    Reference:
        Smaug: Fixing Failure Modes of Preference Optimisation with DPO-Positive, arXiv 2402.13228, eq. 3.
    """
    fallen_B = F.relu(-batch.log_ratio_chosen_B)
    return -F.logsigmoid(beta * (batch.delta_B - penalty * fallen_B))


ROWS = (
    Objective(
        "nca_pair",
        nca_pair,
        formula="-logsigmoid(beta s_w) - (logsigmoid(-beta s_w) + logsigmoid(-beta s_l)) / 2",
        paper=Paper("Noise Contrastive Alignment", "2402.05369", "NCA, pairs"),
        when="When the likelihood of chosen responses must not fall: reasoning, code.",
        parameters={"beta": BETA.at(0.01)},
    ),
    Objective(
        "bco_pair",
        bco_pair,
        formula="-logsigmoid(beta s_w) - logsigmoid(-beta s_l)",
        paper=Paper("Binary Classifier Optimization", "2404.04656", "without the shift"),
        when="When chosen responses are good and rejected ones bad in absolute terms.",
        parameters={"beta": BETA},
    ),
    Objective(
        "sppo_hard",
        sppo_hard,
        formula="(s_w - 1/(2 beta))^2 + (s_l + 1/(2 beta))^2",
        paper=Paper("Self-Play Preference Optimization", "2405.00675", "eq. 4.7"),
        when="For rounds of self-play on fresh samples.",
        parameters={"beta": BETA.at(0.001)},
    ),
    Objective(
        "apo_zero",
        apo_zero,
        formula="1 - sigmoid(beta s_w) + sigmoid(beta s_l)",
        paper=Paper("Anchored Preference Optimization", "2408.06266", "eq. 7"),
        when="When chosen responses are better than the model's own outputs.",
        parameters={"beta": BETA},
    ),
    Objective(
        "apo_down",
        apo_down,
        formula="sigmoid(beta s_w) + 1 - sigmoid(beta D)",
        paper=Paper("Anchored Preference Optimization", "2408.06266", "eq. 8"),
        when="When chosen responses are worse than the model's own outputs.",
        parameters={"beta": BETA},
    ),
    Objective(
        "dpo_shift",
        dpo_shift,
        formula="-logsigmoid(beta (s_w - shift s_l))",
        paper=Paper("DPO-Shift", "2502.07599", "DPO-Shift loss, f(lambda) fixed"),
        when="When dpo lowers the chosen responses too, and a smaller margin is acceptable.",
        parameters={
            "beta": BETA,
            "shift": Parameter(0.95, "weight of the rejected log-ratio; 1 is dpo", above=0, at_most=1),
        },
    ),
    Objective(
        "dpop",
        dpop,
        formula="-logsigmoid(beta (D - penalty max(0, -s_w)))",
        paper=Paper("Smaug: DPO-Positive", "2402.13228", "eq. 3"),
        when="When the two sides differ in a few tokens, and dpo lowers both.",
        parameters={
            "beta": BETA.at(0.3),
            "penalty": Parameter(50.0, "weight of the loss in log-prob of the chosen response", at_least=0),
        },
    ),
)

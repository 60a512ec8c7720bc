"""Objectives without a reference: the policy's own log-probs are the reward.

Notation: w and l are the log-probs of chosen and rejected, |w| and |l| their completion tokens. Shapes: B pairs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import Objective, Paper, Parameter

__all__ = ["ROWS", "cpo", "orpo", "simper", "simpo", "unlikelihood"]


def simpo(batch: PairBatch, *, beta: float, gamma: float) -> Tensor:
    """-p logsigmoid(z - gamma) - (1 - p) logsigmoid(-z - gamma), where z = beta (w / |w| - l / |l|) - m.

    The reward is what decoding maximises, the average log-prob per token; the winner should lead by gamma.

    Args:
        batch: B pairs, lengths of at least one token; no reference; the soft label and the margin are read.
        beta: scale of the reward, > 0.
        gamma: the target margin in units of reward, >= 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("simpo", beta=2.0, gamma=1.0)(batch)
        tensor([0.2204])

    Reference:
        SimPO: Simple Preference Optimization with a Reference-Free Reward, arXiv 2405.14734, eq. 6.
    """
    chosen_B = batch.policy_chosen_B / batch.length_chosen_B
    rejected_B = batch.policy_rejected_B / batch.length_rejected_B
    z_B = beta * (chosen_B - rejected_B) - batch.margin_B
    p_B = batch.probability_B
    return -p_B * F.logsigmoid(z_B - gamma) - (1 - p_B) * F.logsigmoid(-z_B - gamma)


def cpo(batch: PairBatch, *, beta: float, nll_weight: float) -> Tensor:
    """dpo with a uniform reference, z = beta (w - l) - m, and nll_weight (-w / |w|) added.

    With a soft label the added term is the expected cross-entropy over which side won.

    Args:
        batch: B pairs, lengths of at least one token; no reference; the soft label and the margin are read.
        beta: scale of the reward, > 0.
        nll_weight: weight of the cross-entropy of the response that won, >= 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("cpo", beta=0.1, nll_weight=1.0)(batch)
        tensor([2.3544])

    Reference:
        Contrastive Preference Optimization, arXiv 2401.08417, section 3; the NLL term averaged over tokens.
    """
    z_B = beta * (batch.policy_chosen_B - batch.policy_rejected_B) - batch.margin_B
    p_B = batch.probability_B
    nll_B = -p_B * batch.policy_chosen_B / batch.length_chosen_B
    nll_B = nll_B - (1 - p_B) * batch.policy_rejected_B / batch.length_rejected_B
    return preference_cross_entropy(z_B, p_B) + nll_weight * nll_B


def simper(batch: PairBatch) -> Tensor:
    """(2 p - 1) (exp(l / |l|) - exp(w / |w|)): the inverse perplexity of the rejected response less that of the chosen.

    It has no parameters and no logarithm: an unlikely response has almost no gradient, so a rejected one is not pushed
    down without bound.

    Args:
        batch: B pairs, lengths of at least one token; no reference; the soft label is read.

    Returns:
        Tensor of shape (B,), from -1 to 1.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("simper")(batch)
        tensor([-0.1155])

    Reference:
        SimPER: A Minimalist Approach to Preference Alignment without Hyperparameters, arXiv 2502.00883.
    """
    # A mean log-prob is at most 0; the bound avoids overflow for invalid inputs.
    chosen_B = (batch.policy_chosen_B / batch.length_chosen_B).clamp(max=0).exp()
    rejected_B = (batch.policy_rejected_B / batch.length_rejected_B).clamp(max=0).exp()
    return (2 * batch.probability_B - 1) * (rejected_B - chosen_B)


def orpo(batch: PairBatch, *, odds_weight: float) -> Tensor:
    """-w / |w| - odds_weight logsigmoid(log odds(w) - log odds(l)), odds(x) = q / (1 - q), q = exp(x / |x|).

    Supervised fine-tuning on the chosen response, with the odds ratio of the two as the only contrast: a single stage
    instead of two.

    Args:
        batch: B pairs, lengths of at least one token; no reference, hard labels.
        odds_weight: the paper's lambda, >= 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("orpo", odds_weight=0.1)(batch)
        tensor([1.8235])

    Reference:
        ORPO: Monolithic Preference Optimization without Reference Model, arXiv 2403.07691, eq. 6 and 7.
    """
    chosen_B = batch.policy_chosen_B / batch.length_chosen_B
    rejected_B = batch.policy_rejected_B / batch.length_rejected_B
    return -chosen_B - odds_weight * F.logsigmoid(_log_odds(chosen_B) - _log_odds(rejected_B))


def unlikelihood(batch: PairBatch, *, alpha: float) -> Tensor:
    """-w / |w| - alpha log(1 - exp(l / |l|)): next-token training on the chosen response, against the rejected one.

    The baseline of the DPO paper's figures. The term of the rejected response is that of unlikelihood training with the
    geometric mean of its token probabilities; its gradient shrinks as the response becomes less likely.

    Args:
        batch: B pairs, lengths of at least one token; no reference, hard labels.
        alpha: weight of the rejected response, >= 0.

    Returns:
        Tensor of shape (B,), in nats.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, bind
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> bind("unlikelihood", alpha=1.0)(batch)
        tensor([1.8511])

    Reference:
        Neural Text Generation with Unlikelihood Training, arXiv 1908.04319, eq. 4; as a baseline of preferences,
        arXiv 2305.18290, section 6.
    """
    chosen_B = batch.policy_chosen_B / batch.length_chosen_B
    rejected_B = batch.policy_rejected_B / batch.length_rejected_B
    return -chosen_B - alpha * _log_complement(rejected_B)


def _log_odds(mean_logprob_B: Tensor) -> Tensor:
    logprob_B = _below_certainty(mean_logprob_B)
    return logprob_B - _log_complement(logprob_B)


def _log_complement(mean_logprob_B: Tensor) -> Tensor:
    """log(1 - exp(x))."""
    return torch.log(-torch.expm1(_below_certainty(mean_logprob_B)))


def _below_certainty(mean_logprob_B: Tensor) -> Tensor:
    # A certain response has infinite odds; one rounding step below is the most that the dtype can express.
    return mean_logprob_B.clamp(max=-torch.finfo(mean_logprob_B.dtype).eps)


ROWS = (
    Objective(
        "simpo",
        simpo,
        formula="-p logsigmoid(z-gamma) - (1-p) logsigmoid(-z-gamma), z = beta (log pi_w/len_w - log pi_l/len_l) - m",
        paper=Paper("SimPO", "2405.14734", "eq. 6"),
        when="Without a reference: half the forward passes, and the reward is what decoding maximises.",
        parameters={
            "beta": Parameter(2.0, "scale of the reward", above=0),
            "gamma": Parameter(1.0, "target margin of the chosen over the rejected reward", at_least=0),
        },
        reads={"probability", "margin"},
        needs_reference=False,
        normalisation="mean",
    ),
    Objective(
        "cpo",
        cpo,
        formula="dpo with z = beta log(pi_w / pi_l) - m, plus nll_weight (-p log pi_w/len_w - (1-p) log pi_l/len_l)",
        paper=Paper("Contrastive Preference Optimization", "2401.08417", "section 3"),
        when="Without a reference, for chosen responses of high quality: translation.",
        parameters={
            "beta": Parameter(0.1, "scale of the reward", above=0),
            "nll_weight": Parameter(1.0, "weight of the next-token loss of the chosen response", at_least=0),
        },
        reads={"probability", "margin"},
        needs_reference=False,
    ),
    Objective(
        "simper",
        simper,
        formula="(2p-1) (exp(log pi_l / len_l) - exp(log pi_w / len_w))",
        paper=Paper("SimPER", "2502.00883", "SimPER loss"),
        when="Without parameters or a reference, when the chosen response should stay likely.",
        reads={"probability"},
        needs_reference=False,
        normalisation="mean",
    ),
    Objective(
        "orpo",
        orpo,
        formula="-log pi_w / len_w - odds_weight logsigmoid(log odds_w - log odds_l), q = exp(log pi / len)",
        paper=Paper("ORPO", "2403.07691", "eq. 6 and 7"),
        when="To train a base model in one stage, without SFT first.",
        parameters={
            "odds_weight": Parameter(0.1, "weight of the odds-ratio term", at_least=0),
        },
        needs_reference=False,
        normalisation="mean",
    ),
    Objective(
        "unlikelihood",
        unlikelihood,
        formula="-log pi_w / len_w - alpha log(1 - exp(log pi_l / len_l))",
        paper=Paper("Neural Text Generation with Unlikelihood Training", "1908.04319", "eq. 4"),
        when="A baseline without a reference: imitate the chosen response, and avoid the rejected one.",
        parameters={
            "alpha": Parameter(1.0, "weight of the rejected response", at_least=0),
        },
        needs_reference=False,
        normalisation="mean",
    ),
)

"""Preference losses: each a pure function from B pairs to B losses.

Notation: D = delta = (log pi - log pi_ref)(chosen) - (log pi - log pi_ref)(rejected), in nats, summed over completion
tokens; p = soft label p(chosen > rejected); m = margin; |w|, |l| = completion tokens of chosen and rejected.
No function reads `weight_B`: the caller weighs and averages.
"""

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy

__all__ = ["cdpo", "dpo", "ipo_mean", "ipo_sum"]


def dpo(batch: PairBatch, *, beta: float) -> Tensor:
    """-p logsigmoid(z) - (1 - p) logsigmoid(-z), where z = beta D - m.

    With a hard label (p = 1) and no margin this is the loss of the paper; a soft label makes it the cross-entropy
    between the label and the probability that the model gives it. The margin is the m(r) of Llama 2 and the offset
    of ODPO: the loss reaches ln 2 where the chosen reward exceeds the rejected one by m.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats.

    Raises:
        ValueError: the pairs have no reference.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, dpo
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> dpo(batch, beta=0.1)
        tensor([0.5981])

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 7. Margin: Llama 2, arXiv 2307.09288, eq. 2 (for reward
        models); Direct Preference Optimization with an Offset, arXiv 2402.10571.
    """
    return preference_cross_entropy(beta * batch.delta_B - batch.margin_B, batch.probability_B)


def cdpo(batch: PairBatch, *, beta: float, label_smoothing: float) -> Tensor:
    """-q logsigmoid(z) - (1 - q) logsigmoid(-z), where z = beta D - m and q = p (1 - e) + (1 - p) e.

    Conservative DPO: each label is taken to be wrong with probability e = label_smoothing. The gradient vanishes at
    sigmoid(z) = q, so the margin of a pair stops growing instead of running to infinity. e = 0 is `dpo`.

    Args:
        batch: B pairs with a reference; the soft label and the margin are read.
        beta: strength of the pull to the reference, > 0.
        label_smoothing: probability that a label is wrong, 0 <= e < 0.5.

    Returns:
        Tensor of shape (B,), in nats.

    Raises:
        ValueError: the pairs have no reference.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, cdpo
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> cdpo(batch, beta=0.1, label_smoothing=0.1)
        tensor([0.6181])

    Reference:
        Eric Mitchell, A note on DPO with noisy preferences and relationship to IPO, 2023,
        https://ericmitchell.ai/cdpo.pdf.
    """
    probability_B = batch.probability_B * (1 - label_smoothing) + (1 - batch.probability_B) * label_smoothing
    return preference_cross_entropy(beta * batch.delta_B - batch.margin_B, probability_B)


def ipo_sum(batch: PairBatch, *, beta: float) -> Tensor:
    """p (D - 1/(2 beta))^2 + (1 - p) (D + 1/(2 beta))^2, log-probs summed over tokens.

    The loss as printed in the paper, whose tau is beta here: D is a difference of whole-sequence log-ratios, never
    divided by a length. The minimum over D is at (2 p - 1) / (2 beta): finite, which is what sets IPO apart from DPO.
    The soft label is the expectation over which side won.

    Args:
        batch: B pairs with a reference; the soft label is read, the margin is not.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in nats squared.

    Raises:
        ValueError: the pairs have no reference.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, ipo_sum
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> ipo_sum(batch, beta=0.1)  # (2 - 5)^2
        tensor([9.])

    Reference:
        A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv 2310.12036, eq. 17.
    """
    return _squared(batch.delta_B, batch.probability_B, beta)


def ipo_mean(batch: PairBatch, *, beta: float) -> Tensor:
    """p (d - 1/(2 beta))^2 + (1 - p) (d + 1/(2 beta))^2, where d = log_ratio_w / |w| - log_ratio_l / |l|.

    The IPO that divides by length: each log-ratio is averaged over the tokens of its response, so the target
    1/(2 beta) is a difference per token and does not depend on how long the responses are. The paper prints the sum
    (`ipo_sum`); its authors told the maintainers of TRL to average. The same beta means something else in each.

    Args:
        batch: B pairs with a reference and lengths of at least one token; the soft label is read, the margin is not.
        beta: strength of the pull to the reference, > 0.

    Returns:
        Tensor of shape (B,), in (nats per token) squared.

    Raises:
        ValueError: the pairs have no reference.

    Example:
        >>> import torch
        >>> from penchant.objectives import PairBatch, ipo_mean
        >>> batch = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
        >>> ipo_mean(batch, beta=0.5)  # (1/5 + 1/4 - 1)^2
        tensor([0.3025])

    Reference:
        arXiv 2310.12036, eq. 17, averaged over tokens as in https://huggingface.co/blog/pref-tuning.
    """
    per_token_B = (
        batch.log_ratio_chosen_B / batch.length_chosen_B - batch.log_ratio_rejected_B / batch.length_rejected_B
    )
    return _squared(per_token_B, batch.probability_B, beta)


def _squared(delta_B: Tensor, probability_B: Tensor, beta: float) -> Tensor:
    target = 1 / (2 * beta)
    return probability_B * (delta_B - target) ** 2 + (1 - probability_B) * (delta_B + target) ** 2

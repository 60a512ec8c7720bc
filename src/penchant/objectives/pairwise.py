"""Preference losses: each a pure function from B pairs to B losses.

Notation: D = delta = (log pi - log pi_ref)(chosen) - (log pi - log pi_ref)(rejected), in nats, summed over completion
tokens; p = soft label p(chosen > rejected); m = margin; |w|, |l| = completion tokens of chosen and rejected.
No function reads `weight_B`: the caller weights and averages.
"""

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.logistic import preference_cross_entropy
from penchant.objectives.objective import BETA, WRONG_LABELS, Objective, Paper

__all__ = ["ROWS", "cdpo", "dpo"]


def dpo(batch: PairBatch, *, beta: float) -> Tensor:
    """-p logsigmoid(z) - (1 - p) logsigmoid(-z), where z = beta D - m.

    With a hard label (p = 1) and no margin this is the loss of the paper; with a soft label it is the cross-entropy
    between the label and the model's probability. The margin is the m(r) of Llama 2 and the offset of ODPO: the loss is
    ln 2 where the chosen reward exceeds the rejected one by m.

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

    Conservative DPO: each label is assumed wrong with probability e = label_smoothing. The gradient vanishes at
    sigmoid(z) = q, so the margin of a pair stays finite. e = 0 is `dpo`.

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


ROWS = (
    Objective(
        "dpo",
        dpo,
        formula="-p logsigmoid(z) - (1-p) logsigmoid(-z), z = beta D - m",
        paper=Paper("Direct Preference Optimization", "2305.18290", "eq. 7"),
        when="The default: clean labels, or soft labels you trust.",
        parameters={"beta": BETA},
        reads={"probability", "margin"},
    ),
    Objective(
        "cdpo",
        cdpo,
        formula="dpo with p replaced by p (1-e) + (1-p) e, e = label_smoothing",
        paper=Paper("A note on DPO with noisy preferences", "https://ericmitchell.ai/cdpo.pdf", "cDPO loss"),
        when="When annotators err at a known rate, or margins of dpo grow without bound.",
        parameters={
            "beta": BETA,
            "label_smoothing": WRONG_LABELS,
        },
        reads={"probability", "margin"},
    ),
)

"""Identity preference optimisation (IPO): a squared loss that draws D to a finite target.

Notation: D = delta, p = soft label, |w| and |l| = completion tokens of the two sides. Shapes: B pairs.
"""

from torch import Tensor

from penchant.objectives.batch import PairBatch
from penchant.objectives.objective import BETA, Objective, Paper

__all__ = ["ROWS", "ipo_mean", "ipo_sum"]


def ipo_sum(batch: PairBatch, *, beta: float) -> Tensor:
    """p (D - 1/(2 beta))^2 + (1 - p) (D + 1/(2 beta))^2, log-probs summed over tokens.

    The loss as printed in the paper, whose tau is beta here: D is a difference of whole-sequence log-ratios, never
    divided by a length. The minimum over D is at (2 p - 1) / (2 beta), which is finite, unlike DPO's. A soft label
    gives the expected loss over which side won.

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
    (`ipo_sum`); its authors told the maintainers of TRL to average. The same beta has a different meaning in each.

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


IPO = "A General Theoretical Paradigm to Understand Learning from Human Preferences"

ROWS = (
    Objective(
        "ipo_sum",
        ipo_sum,
        formula="p (D - 1/(2 beta))^2 + (1-p) (D + 1/(2 beta))^2",
        paper=Paper(
            "A General Theoretical Paradigm to Understand Learning from Human Preferences", "2310.12036", "eq. 17"
        ),
        when="For few, nearly certain labels, which dpo overfits; the paper's form, for similar lengths.",
        parameters={"beta": BETA},
        reads={"probability"},
    ),
    Objective(
        "ipo_mean",
        ipo_mean,
        formula="ipo_sum with D replaced by s_w / len_w - s_l / len_l",
        paper=Paper(
            "A General Theoretical Paradigm to Understand Learning from Human Preferences",
            "2310.12036",
            "eq. 17, averaged over tokens",
        ),
        when="Like ipo_sum, for responses of different lengths; this is TRL's ipo.",
        parameters={"beta": BETA},
        reads={"probability"},
        normalisation="mean",
    ),
)

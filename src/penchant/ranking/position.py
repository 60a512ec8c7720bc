"""Position bias: how often the side shown first wins.

Shapes: N decided ballots.
"""

import math
from dataclasses import dataclass

import numpy as np

from penchant.ranking.ballots import Ballots
from penchant.ranking.coded import Coded
from penchant.ranking.quantiles import two_sided_quantile, variance_ratio

__all__ = ["Share", "first_shown_share", "wilson"]


@dataclass(frozen=True)
class Share:
    """A share, its limits and the number of answers; None for the first three, with a reason, if there is none."""

    value: float | None
    low: float | None
    high: float | None
    num: int
    reason: str = ""


def wilson(share: float, num: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's limits of a share of `num` independent draws; num may be fractional.

    Example:
        >>> [round(limit, 4) for limit in wilson(0.5, 100)]
        [0.4038, 0.5962]

    Reference:
        E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
        Statistical Association 22, 1927.
    """
    z = two_sided_quantile(confidence)
    middle = (share + z**2 / (2 * num)) / (1 + z**2 / num)
    reach = z / (1 + z**2 / num) * math.sqrt(share * (1 - share) / num + z**2 / (4 * num**2))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def first_shown_share(ballots: Ballots, confidence: float = 0.95) -> Share:
    """The share of decided answers, with known order, that the side shown first won.

    Without bias it is 1/2 if sides were shown in random order. If the better items were shown first more often, it is
    not, and `fit_bradley_terry(position=True)` with the first shown at the left separates the two effects. Ties and
    both_bad are left out. The limits are Wilson's for N / d answers, where d >= 1 accounts for few answers and for
    correlated answers of one annotator or to one prompt (`variance_ratio`): the largest d over single answers,
    annotators and prompts, as far as recorded. If all answers are from one person, or all to one prompt, that kind of
    cluster is ignored, as nothing can be inferred about others.

    Raises:
        ConfigError: a confidence outside (0, 1).

    Example:
        >>> from penchant.ranking import Ballots, first_shown_share
        >>> shown = ["left"] * 6 + ["right"] * 4
        >>> share = first_shown_share(Ballots(["a"] * 10, ["b"] * 10, ["left"] * 10, shown_first=shown))
        >>> share.value, round(share.low, 3), round(share.high, 3), share.num
        (0.6, 0.271, 0.858, 10)
    """
    two_sided_quantile(confidence)
    shown = Coded.of([] if ballots.shown_first is None else ballots.shown_first)
    outcome = Coded.of(ballots.outcome)
    is_known = not shown.where(None).all()
    decided_V = ~shown.where(None) & outcome.where("left", "right") if is_known else np.zeros(len(ballots), dtype=bool)
    if not decided_V.any():
        reason = "no decided answer says" if is_known else "no answer says"
        return Share(None, None, None, 0, f"{reason} which side was shown first")
    won_V = (outcome.where("left") & shown.where("left")) | (outcome.where("right") & shown.where("right"))
    won_N = won_V[decided_V].astype(float)
    recorded = [Coded.of(getattr(ballots, name)).code_N[decided_V].tolist() for name in ballots.recorded]
    effects = [variance_ratio(won_N, column, confidence) for column in (range(len(won_N)), *recorded)]
    effect = max([1.0, *filter(math.isfinite, effects)])
    low, high = wilson(float(won_N.mean()), len(won_N) / effect, confidence)
    return Share(float(won_N.mean()), low, high, len(won_N))

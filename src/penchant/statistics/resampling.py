"""Bootstrap intervals for any statistic of answers, by resampling prompts with replacement.

Shapes: N answers, G prompts.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.ranking import expanded_tail
from penchant.ranking.cautions import FEW, FEW_PROMPTS, ONE, SAME, warning_of
from penchant.ranking.coded import Coded
from penchant.ranking.votes import FloatArray

__all__ = [
    "ALIKE",
    "FEW_PROMPTS",
    "NUM_RESAMPLES",
    "ONE_SIDED",
    "WARNINGS",
    "Estimate",
    "resampled",
    "times_drawn",
    "warning_of",
    "without_width",
]

NUM_RESAMPLES = 500

ALIKE = "all comparisons had the same result, so the effect of length or style is unknown"
ONE_SIDED = (
    "one model was longer or more decorated in nearly every comparison, so the effect of length or style is uncertain"
)
WARNINGS = (ONE, FEW, SAME, ALIKE, ONE_SIDED)
"""The possible warnings of an estimate."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% limits, its sample sizes, and a warning.

    low, high: None if there is only one prompt, or if all prompts have the same value, as nothing can be inferred about
    others. warning: None if there is none.
    """

    value: float
    low: float | None
    high: float | None
    num: int
    num_prompts: int
    warning: str | None = None


def resampled(
    statistic: Callable[[FloatArray], float],
    prompts: Sequence[Hashable],
    *,
    confidence: float = 0.95,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The statistic of all answers, with percentiles over resamples of whole prompts as limits.

    Limits are widened for few prompts (`expanded_tail`), and always contain the estimate.

    Args:
        statistic: a function from the count of each answer, (N,), to a number; if it is a fit, it is refitted.
        prompts: N labels; equal labels are one prompt.
        confidence: nominal coverage, between 0 and 1.
        num_resamples: the number of resamples.
        seed: of numpy's generator; the same seed gives the same limits.

    Example:
        >>> values = np.array([1.0, 2.0, 3.0, 4.0])
        >>> found = resampled(lambda weight: float(np.average(values, weights=weight)), list("abcd"))
        >>> found.value, found.low < 2.0, found.high > 3.0
        (2.5, True, True)
        >>> found.warning
        'only 4 prompts: an interval from fewer than 20 may be too narrow'
    """
    clusters = Coded.of(prompts)
    num, num_prompts = len(clusters.code_N), len(clusters.labels)
    value = statistic(np.ones(num))
    if num_prompts == 1:
        return Estimate(value, None, None, num, 1, ONE)
    drawn = [
        statistic(times_G[clusters.code_N].astype(np.float64))
        for times_G in times_drawn(num_prompts, num_resamples, seed)
    ]
    tail = expanded_tail(confidence, num_prompts)
    low, high = (float(limit) for limit in np.quantile(drawn, [tail, 1 - tail]))
    return Estimate(value, min(low, value), max(high, value), num, num_prompts, warning_of(num_prompts))


def times_drawn(num_prompts: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield, for every resample, the count of each prompt, (G,)."""
    rng = np.random.default_rng(seed)
    for _ in range(num_resamples):
        yield np.bincount(rng.integers(num_prompts, size=num_prompts), minlength=num_prompts)


def without_width(found: Estimate) -> Estimate:
    """The same estimate, without limits if they coincide, as they do if all prompts have the same value."""
    if found.low is None or found.high is None or found.high > found.low:
        return found
    return replace(found, low=None, high=None, warning=warning_of(found.num_prompts, is_same=True))

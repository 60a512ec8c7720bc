"""An interval for any statistic of answers: computed again on prompts drawn with replacement.

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

ALIKE = "every comparison came out alike: nothing can be said of what length or style does"
ONE_SIDED = "one model was longer, or more decorated, in every comparison: answers that are alike were not seen"
WARNINGS = (ONE, FEW, SAME, ALIKE, ONE_SIDED)
"""What an estimate may warn of."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% limits, what it is made of, and what to beware of.

    low, high: None where there is one prompt only, or all gave the same, as nothing can be said of others.
    warning: None where there is none.
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
    """The statistic of all answers, and percentiles of it over resamples of whole prompts.

    Limits are farther out than the level says where prompts are few (`expanded_tail`), and always hold the estimate.

    Args:
        statistic: from how often each answer counts, (N,), to a number; the whole fit, where it is one.
        prompts: N labels; equal labels are one prompt.
        confidence: coverage asked for, between 0 and 1.
        num_resamples: how often to draw.
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
    """How often each prompt is in a resample, (G,), for every resample."""
    rng = np.random.default_rng(seed)
    for _ in range(num_resamples):
        yield np.bincount(rng.integers(num_prompts, size=num_prompts), minlength=num_prompts)


def without_width(found: Estimate) -> Estimate:
    """The same without limits where they coincide, which is what resamples of prompts that are all alike give."""
    if found.low is None or found.high is None or found.high > found.low:
        return found
    return replace(found, low=None, high=None, warning=warning_of(found.num_prompts, is_same=True))

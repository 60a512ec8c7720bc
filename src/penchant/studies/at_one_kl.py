"""Compare methods at one KL: interpolate a curve between its strengths, with an interval.

Shapes: S seeds, G prompts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.ranking.votes import FloatArray
from penchant.statistics import Estimate, crossed
from penchant.statistics.resampling import warning_of
from penchant.studies.curves import ROUNDING, Place

__all__ = ["AtKL", "at_kl"]


@dataclass(frozen=True)
class AtKL:
    """A curve at one KL. found: its value there, with limits. between: the neighbouring strengths, None for the start;
    a single one if the KL is its own.

    value_SG: values with the mean of the estimate, or of the nearest measured point, and the spread of the estimate.
    """

    found: Estimate
    between: list[str | None]
    value_SG: FloatArray

    def less(self, other: AtKL) -> Estimate:
        """The difference to another curve on the same prompts, with limits derived from both curves' limits.

            low = d - sqrt(a^2 - 2 r a b + b^2),    d the difference,

        where a reaches from this curve to its lower limit, b from the other to its upper limit, r is the correlation
        of the two errors; and likewise above. It allows asymmetric limits of shares, and has width even if all answers
        of both are equal. If the difference is the same for every prompt there are no limits.

        Reference:
            G. Y. Zou and A. Donner, Construction of confidence limits about effect measures, Statistics in Medicine
            27, 2008; of paired shares, R. G. Newcombe, Statistics in Medicine 17, 1998, pages 2635 to 2650.
        """
        one, two = self.found, other.found
        value = one.value - two.value
        if one.low is None or one.high is None or two.low is None or two.high is None:
            return Estimate(value, None, None, one.num, one.num_prompts, one.warning or two.warning)
        r = _correlation(self.value_SG, other.value_SG)
        down = _apart(one.value - one.low, two.high - two.value, r)
        up = _apart(one.high - one.value, two.value - two.low, r)
        if not down + up > math.sqrt(ROUNDING) * (one.high - one.low):  # squares: hence the root
            alike = warning_of(one.num_prompts, is_same=True)
            return Estimate(value, None, None, one.num, one.num_prompts, alike)
        return Estimate(value, value - down, value + up, one.num, one.num_prompts, one.warning)


def at_kl(places: Sequence[Place], kl: float, what: str, start_G: FloatArray) -> AtKL | None:
    """A curve's `win` rate over the start or mean `true` reward at a KL above 0; None if the curve ends before.

    Interpolation is linear in sqrt(KL) between strengths, and from the start, whose KL is 0: gains grow with sqrt(KL)
    at first, since the best policy at a small KL from the reference has an expected reward of sqrt(2 KL Var[r]) above
    the reference's. To first order the estimate is a mean over prompts, in which the answers' own KLs move the position
    along the line, so the interval is that of `crossed`. Between the start and the first strength the line itself is an
    assumption: the interval there is no narrower than that strength's, and there is none if the strength has none. The
    interval of a win rate is nowhere narrower than the interpolated score intervals of both strengths, and so never
    without width. Between strengths whose KLs are not significantly different no line can be drawn: the interval covers
    those of both.

    Args:
        kl: nats per response, above 0.
        what: `win` or `true`.
        start_G: the start's values by prompt.

    Reference:
        Scaling Laws for Reward Model Overoptimization, arXiv 2210.10760, section 3, on the distance sqrt(KL).
    """
    ordered = sorted((place for place in places if place.kl.mean > 0), key=lambda place: place.kl.mean)
    above = next((place for place in ordered if place.kl.mean >= kl > 0), None)
    if above is None:
        return None
    below = next((place for place in reversed(ordered) if place.kl.mean < kl), None)
    x, x_above = math.sqrt(kl), math.sqrt(above.kl.mean)
    x_below = math.sqrt(below.kl.mean) if below else 0.0
    share = (x - x_below) / (x_above - x_below)
    first = float(_values(below, what).mean()) if below else float(start_G.mean())
    rise = float(_values(above, what).mean()) - first
    value, slope = first + share * rise, rise / (x_above - x_below) if _is_farther(above, below) else 0.0
    value_SG = _moved(above, what, slope)
    if below is not None:
        value_SG = (1 - share) * _moved(below, what, slope) + share * value_SG
    reach, num_prompts = crossed(value_SG).reach, value_SG.shape[1]
    down, up = np.max([(reach, reach), *_no_narrower(below, above, what, share, value)], axis=0).tolist()
    before = [] if share == 1 else [below.place if below else None]
    found = Estimate(value, None, None, above.win.num, num_prompts, warning_of(num_prompts, is_same=True))
    if ROUNDING * np.abs(value_SG).max() < down + up < math.inf:
        least, most = (0.0, 1.0) if what == "win" else (-math.inf, math.inf)
        low, high = max(value - down, least), min(value + up, most)
        found = replace(found, low=low, high=high, warning=warning_of(num_prompts))
    return AtKL(found, [*before, above.place], value_SG)


def _is_farther(above: Place, below: Place | None) -> bool:
    """Whether the KLs of two strengths differ significantly, paired by prompt."""
    if below is None:
        return True
    found = crossed(above.kl_SG - below.kl_SG)
    return found.mean > found.reach


def _values(place: Place, what: str) -> FloatArray:
    return place.win_SG if what == "win" else place.true_SG


def _moved(place: Place, what: str, slope: float) -> FloatArray:
    """The place's values, corrected to first order for each prompt's KL; the mean is unchanged."""
    farther_SG = (place.kl_SG - place.kl.mean) / (2 * math.sqrt(place.kl.mean))
    return _values(place, what) - slope * farther_SG


def _no_narrower(below: Place | None, above: Place, what: str, share: float, value: float) -> list[tuple[float, float]]:
    """The minimal distances of the lower and upper limit from the value, see `at_kl`."""
    last, down, up = _reaches(above, what)
    if below is None:
        return [(down, up)]
    first, down_below, up_below = _reaches(below, what)
    if not _is_farther(above, below):
        return [(value - last + down, last - value + up), (value - first + down_below, first - value + up_below)]
    mixed = (1 - share) * down_below + share * down, (1 - share) * up_below + share * up
    return [mixed] if what == "win" else []


def _reaches(place: Place, what: str) -> tuple[float, float, float]:
    """The mean at a strength, and the distances of its limits below and above; infinite if there are none."""
    found, mean = getattr(place, what), float(_values(place, what).mean())
    return (mean, math.inf, math.inf) if found.low is None else (mean, mean - found.low, found.high - mean)


def _correlation(one_SG: FloatArray, two_SG: FloatArray) -> float:
    one, two, apart = (crossed(value_SG).variance for value_SG in (one_SG, two_SG, one_SG - two_SG))
    return float(np.clip((one + two - apart) / (2 * math.sqrt(one * two)), -1, 1)) if one * two > 0 else 0.0


def _apart(one: float, two: float, r: float) -> float:
    return math.sqrt(max(one**2 - 2 * r * one * two + two**2, 0.0))

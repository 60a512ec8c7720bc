"""Methods at one KL: what lies on a curve between its strengths, and how sure that is.

Shapes: S seeds, G prompts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penchant.ranking.votes import FloatArray
from penchant.statistics import Estimate, crossed
from penchant.statistics.resampling import warning_of
from penchant.studies.curves import Place

__all__ = ["NO_SPREAD", "AtKL", "at_kl"]

NO_SPREAD = "all prompts came out alike: nothing can be said of others"


@dataclass(frozen=True)
class AtKL:
    """A curve at one KL. found: its value there, with limits. below: the place before, None for the start itself.

    above: the place behind. value_SG: values whose mean is the estimate, or that of what is measured nearest, and
    whose spread is the estimate's.
    """

    found: Estimate
    below: Place | None
    above: Place
    value_SG: FloatArray

    def less(self, other: AtKL) -> Estimate:
        """The difference to another curve on the same prompts, with limits recovered from those of both.

            low = d - sqrt(a^2 - 2 r a b + b^2),    d the difference,

        a from this curve down to its lower limit, b from the other up to its upper one, r the correlation of the two
        errors; and likewise above. It needs no limits of shares to lie even to both sides, and has width where all
        answers of both came out alike.

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
        return Estimate(value, value - down, value + up, one.num, one.num_prompts, one.warning)


def at_kl(places: Sequence[Place], kl: float, what: str, start_G: FloatArray) -> AtKL | None:
    """A curve's `win` rate over the start or mean `true` reward at a KL; None where the curve ends before.

    Linear in sqrt(KL) between its strengths, and from the start, whose KL is 0: what training gains grows with sqrt(KL)
    at first, as of all policies at a small KL from the reference the best one's expected reward lies
    sqrt(2 KL Var[r]) above the reference's. To first order that is a mean over prompts, in which the answers' own KLs
    move the place along the line, so the interval is that of `crossed`. Between the start and a first strength the
    line itself is an assumption: the interval there is no narrower than that strength's. That of a win rate is nowhere
    narrower than what the score intervals of both strengths become on the line, and so never without width.

    Args:
        kl: nats a response, above 0.
        what: `win` or `true`.
        start_G: the start's values by prompt.

    Reference:
        Scaling Laws for Reward Model Overoptimization, arXiv 2210.10760, section 3, on the distance sqrt(KL).
    """
    ordered = sorted((place for place in places if place.kl.mean > 0), key=lambda place: place.kl.mean)
    above = next((place for place in ordered if place.kl.mean >= kl), None)
    if above is None:
        return None
    below = next((place for place in reversed(ordered) if place.kl.mean < kl), None)
    x, x_above = math.sqrt(kl), math.sqrt(above.kl.mean)
    x_below = math.sqrt(below.kl.mean) if below else 0.0
    share = (x - x_below) / (x_above - x_below)
    first = float(_values(below, what).mean()) if below else float(start_G.mean())
    slope = (float(_values(above, what).mean()) - first) / (x_above - x_below)
    value_SG = _moved(above, what, slope)
    if below is not None:
        value_SG = (1 - share) * _moved(below, what, slope) + share * value_SG
    value = first + slope * (x - x_below)
    down = up = crossed(value_SG).reach
    num, num_prompts = above.win.num, value_SG.shape[1]
    if num_prompts == 1:
        return AtKL(Estimate(value, None, None, num, 1, warning_of(1)), below, above, value_SG)
    if what == "win":
        down, up = _no_narrower(down, up, [(below or above, 1 - share), (above, share)])
        low, high = max(value - down, 0.0), min(value + up, 1.0)
    else:
        low, high = value - down, value + up
    if not high > low:
        return AtKL(Estimate(value, None, None, num, num_prompts, NO_SPREAD), below, above, value_SG)
    return AtKL(Estimate(value, low, high, num, num_prompts, warning_of(num_prompts)), below, above, value_SG)


def _values(place: Place, what: str) -> FloatArray:
    return place.win_SG if what == "win" else place.true_SG


def _moved(place: Place, what: str, slope: float) -> FloatArray:
    """The place's values as if each prompt's answers were as far as all are, to first order; their mean is its own."""
    farther_SG = (place.kl_SG - place.kl.mean) / (2 * math.sqrt(place.kl.mean))
    return _values(place, what) - slope * farther_SG


def _no_narrower(down: float, up: float, parts: Sequence[tuple[Place, float]]) -> tuple[float, float]:
    """How far down and up, or as far as the score intervals of these places reach, mixed by these shares."""
    downs = sum(share * (place.win.rate - place.win.low) for place, share in parts)
    ups = sum(share * (place.win.high - place.win.rate) for place, share in parts)
    return max(down, downs), max(up, ups)


def _correlation(one_SG: FloatArray, two_SG: FloatArray) -> float:
    one, two, apart = (crossed(value_SG).variance for value_SG in (one_SG, two_SG, one_SG - two_SG))
    return float(np.clip((one + two - apart) / (2 * math.sqrt(one * two)), -1, 1)) if one * two > 0 else 0.0


def _apart(one: float, two: float, r: float) -> float:
    return math.sqrt(max(one**2 - 2 * r * one * two + two**2, 0.0))

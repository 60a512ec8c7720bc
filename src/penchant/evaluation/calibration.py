"""Whether predicted preferences are as sure as they are right, and how often they are right by the length of responses.

    confidence c = max(q, 1 - q), q = sigmoid(r(chosen) - r(rejected));    Brier = mean (1 - q)^2
    ECE = sum over bins of  n_b / n  |share that is right in b - mean confidence in b|

(Brier 1950; Guo et al. 2017, arXiv 1706.04599, eq. 3.) Always being half sure gives a Brier score of 0.25.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from penchant.ranking.winrate import WinRate, win_rate_of

__all__ = ["Bin", "Calibration", "accuracy_by_length", "calibration_of"]

NUM_BINS = 5
"""From a half to certain."""
AS_LONG = 0.1
"""Lengths that differ by at most this share of the longer one count as the same."""


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence: how many, how sure on average, and what share of them is right."""

    num: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """brier, ece: see above, lower is better. bins: those that hold a pair, from the least sure on."""

    brier: float
    ece: float
    bins: tuple[Bin, ...]


def calibration_of(probabilities: Sequence[float]) -> Calibration:
    """Of the predicted probability that chosen beats rejected, of each pair; exactly a half is half right.

    Example:
        >>> found = calibration_of([0.9, 0.9, 0.9, 0.1])
        >>> round(found.brier, 3), round(found.ece, 3), found.bins[0].right
        (0.21, 0.15, 0.75)
    """
    bins: list[list[tuple[float, float]]] = [[] for _ in range(NUM_BINS)]
    for q in probabilities:
        confidence, right = max(q, 1 - q), 0.5 + 0.5 * ((q > 0.5) - (q < 0.5))
        bins[min(int((confidence - 0.5) * 2 * NUM_BINS), NUM_BINS - 1)].append((confidence, right))
    found = [
        Bin(len(held), sum(c for c, _ in held) / len(held), sum(r for _, r in held) / len(held))
        for held in bins
        if held
    ]
    num = len(probabilities)
    return Calibration(
        brier=sum((1 - q) ** 2 for q in probabilities) / num,
        ece=sum(one.num / num * abs(one.right - one.confidence) for one in found),
        bins=tuple(found),
    )


def accuracy_by_length(
    credits: Sequence[float], lengths: Sequence[tuple[int, int]], prompts: Sequence[Hashable]
) -> dict[str, WinRate]:
    """The accuracy, with its interval, where chosen is the longer response, as long, or the shorter one.

    credits: of each pair 1 where it is right, a half where undecided. lengths: tokens of chosen and rejected. What
    looks at length alone is right in one bucket and wrong in another.
    """
    held: dict[str, list[int]] = {"longer": [], "as long": [], "shorter": []}
    for place, (chosen, rejected) in enumerate(lengths):
        alike = abs(chosen - rejected) <= AS_LONG * max(chosen, rejected)
        held["as long" if alike else "longer" if chosen > rejected else "shorter"].append(place)
    return {
        name: win_rate_of([credits[i] for i in places], [prompts[i] for i in places])
        for name, places in held.items()
        if places
    }

"""What the points say: means with intervals by method and strength, and each method at one KL.

Answers of all seeds to one prompt are one cluster, so that intervals speak of other prompts; how far seeds differ is
kept beside them. Shapes: N answers, G prompts, S strengths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.evaluation.compared import Mean
from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import WinRate, paired_means, win_rate_of
from penchant.statistics import Estimate, resampled
from penchant.studies.points import Measured, Point

__all__ = ["Place", "Run", "at_kl", "between", "curves_of", "place_of"]


@dataclass(frozen=True)
class Run:
    """One seed of a place: its means."""

    seed: int
    kl: float
    true: float
    win: float


@dataclass(frozen=True)
class Place:
    """All seeds of one strength. true, learned: mean rewards. gain: of the true one over the start's answers.

    learned_gain: the same of the learned one. win: over the start's answers. accuracy: on held-out preferences.
    kl_G, true_G, win_G: means of each prompt.
    """

    curve: str
    place: str
    kl: Mean
    true: Mean
    learned: Mean
    gain: Mean
    learned_gain: Mean
    win: WinRate
    tokens: float
    accuracy: float | None
    runs: tuple[Run, ...]
    kl_G: FloatArray
    true_G: FloatArray
    win_G: FloatArray


def place_of(point: Point, seeds: Mapping[int, Measured], start: Measured) -> Place:
    """All seeds of a point's curve and place together."""
    all_of = list(seeds.values())
    prompts = [prompt for one in all_of for prompt in one.prompts]
    credits = [one.win_credits(start) for one in all_of]
    kl, true, learned = ([value for one in all_of for value in getattr(one, key)] for key in ("kl", "true", "learned"))
    win = [value for one in credits for value in one]
    accuracies = [one.accuracy for one in all_of if one.accuracy is not None]
    runs = [
        Run(seed, float(np.mean(one.kl)), float(np.mean(one.true)), float(np.mean(credit)))
        for (seed, one), credit in zip(seeds.items(), credits, strict=True)
    ]
    return Place(
        curve=point.curve,
        place=point.place,
        kl=_mean(kl, prompts),
        true=_mean(true, prompts),
        learned=_mean(learned, prompts),
        gain=_mean(true, prompts, start.true * len(all_of)),
        learned_gain=_mean(learned, prompts, start.learned * len(all_of)),
        win=win_rate_of(win, prompts),
        tokens=float(np.mean([n for one in all_of for n in one.tokens])),
        accuracy=float(np.mean(accuracies)) if accuracies else None,
        runs=tuple(runs),
        kl_G=_by_prompt(kl, prompts),
        true_G=_by_prompt(true, prompts),
        win_G=_by_prompt(win, prompts),
    )


def curves_of(points: Sequence[Point], measured: Sequence[Measured], start: Measured) -> dict[str, list[Place]]:
    """The places of every curve, in the order of the points."""
    by_place: dict[tuple[str, str], tuple[Point, dict[int, Measured]]] = {}
    for point, one in zip(points, measured, strict=True):
        by_place.setdefault((point.curve, point.place), (point, {}))[1][point.seed] = one
    found: dict[str, list[Place]] = {}
    for (curve, _), (point, seeds) in by_place.items():
        found.setdefault(curve, []).append(place_of(point, seeds, start))
    return found


def at_kl(kl: float, kl_S: FloatArray, value_S: FloatArray, at_start: float) -> float:
    """The value of a curve at a KL: linear in sqrt(KL) between its strengths, and from the start, whose KL is 0.

    What training gains grows with sqrt(KL) at first: of all policies at a small KL from the reference, the best one's
    expected reward lies sqrt(2 KL Var[r]) above the reference's. Beyond the farthest strength its value stays.

    Args:
        kl: nats a response.
        kl_S, value_S: those of the strengths, in any order.
        at_start: the value of the start.

    Example:
        >>> at_kl(1.0, np.array([4.0]), np.array([0.9]), at_start=0.5)
        0.7

    Reference:
        Scaling Laws for Reward Model Overoptimization, arXiv 2210.10760, section 3, on the distance sqrt(KL).
    """
    order = np.argsort(kl_S)
    x = np.sqrt(np.maximum([0.0, *kl_S[order]], 0.0))
    return float(np.interp(math.sqrt(kl), x, [at_start, *value_S[order]]))


def between(
    places: Sequence[Place], kl: float, what: str, start_G: FloatArray, *, other: Sequence[Place] | None = None
) -> Estimate | None:
    """A curve's mean `win` or `true` reward at this KL, or what it has over `other` there; None where one ends before.

    The interval is that of prompts drawn again, with every KL and mean taken anew.
    """
    both = [places] if other is None else [places, other]
    if any(max(place.kl.mean for place in one) < kl for one in both):
        return None

    def value(one: Sequence[Place], weight_G: FloatArray) -> float:
        kl_S = np.array([np.average(place.kl_G, weights=weight_G) for place in one])
        value_S = np.array([np.average(getattr(place, f"{what}_G"), weights=weight_G) for place in one])
        return at_kl(kl, kl_S, value_S, float(np.average(start_G, weights=weight_G)))

    def statistic(weight_G: FloatArray) -> float:
        first, *second = (value(one, weight_G) for one in both)
        return first - sum(second)

    return resampled(statistic, range(len(start_G)))


def _mean(values: Sequence[float], prompts: Sequence[str], before: Sequence[float] | None = None) -> Mean:
    found = paired_means([0.0] * len(values) if before is None else before, values, prompts)
    return Mean(found.difference, found.low, found.high)


def _by_prompt(values: Sequence[float], prompts: Sequence[str]) -> FloatArray:
    names = list(dict.fromkeys(prompts))
    code_N = np.array([names.index(prompt) for prompt in prompts])
    return np.bincount(code_N, values) / np.bincount(code_N)

"""Summarise points: means with intervals by method and strength.

Shapes: N answers of one seed, S seeds, G prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.evaluation.compared import Mean
from penchant.ranking.cautions import warning_of
from penchant.ranking.quantiles import skewed_limits
from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import WinRate, win_rate_of
from penchant.statistics import crossed
from penchant.studies.points import Measured, Point

__all__ = ["ROUNDING", "Place", "Run", "by_prompt", "curves_of", "mean_over", "place_of", "true_mean"]

ROUNDING = 1e-12
"""Relative to the largest value: smaller differences count as equal."""


@dataclass(frozen=True)
class Run:
    """One seed of a place: its means."""

    seed: int
    kl: float
    true: float
    win: float


@dataclass(frozen=True)
class Place:
    """All seeds of one strength. true, learned: mean rewards. gain: mean true reward minus that of the start's answers.

    learned_gain: the same for the learned reward. win: win rate over the start's answers. tokens: per answer. accuracy:
    on each run's held-out preferences; no limits for several seeds, whose limits are per seed; num_pairs: the smallest
    held-out number of any run. why_no_exact_kl: empty if the KL is exact per token.
    Intervals are over prompts and, with several seeds, over training seeds (`mean_over`). kl_SG, true_SG, win_SG: means
    of each prompt by seed.
    """

    curve: str
    place: str
    kl: Mean
    true: Mean
    learned: Mean
    gain: Mean
    learned_gain: Mean
    win: WinRate
    tokens: Mean
    accuracy: Mean | None
    num_pairs: int | None
    why_no_exact_kl: str
    runs: tuple[Run, ...]
    kl_SG: FloatArray
    true_SG: FloatArray
    win_SG: FloatArray


def place_of(point: Point, seeds: Mapping[int, Measured], start: Measured) -> Place:
    """Combine all seeds of a point's curve and place."""
    all_of = list(seeds.values())
    credits = [one.win_credits(start) for one in all_of]
    kl_SG, true_SG, learned_SG = (
        np.array([by_prompt(getattr(one, key), one.prompts) for one in all_of]) for key in ("kl", "true", "learned")
    )
    win_SG = np.array([by_prompt(one, start.prompts) for one in credits])
    runs = [
        Run(seed, *(float(of_seed_SG[i].mean()) for of_seed_SG in (kl_SG, true_SG, win_SG)))
        for i, seed in enumerate(seeds)
    ]
    return Place(
        curve=point.curve,
        place=point.place,
        kl=mean_over(kl_SG),
        true=true_mean(all_of, start),
        learned=mean_over(learned_SG),
        gain=mean_over(true_SG - by_prompt(start.true, start.prompts)),
        learned_gain=mean_over(learned_SG - by_prompt(start.learned, start.prompts)),
        win=_share(credits, start.prompts),
        tokens=mean_over(np.array([by_prompt(one.tokens, one.prompts) for one in all_of])),
        accuracy=_accuracy(all_of),
        num_pairs=min((one.num_pairs for one in all_of if one.num_pairs is not None), default=None),
        why_no_exact_kl=next((one.why_no_exact_kl for one in all_of if one.why_no_exact_kl), ""),
        runs=tuple(runs),
        kl_SG=kl_SG,
        true_SG=true_SG,
        win_SG=win_SG,
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


def mean_over(value_SG: FloatArray) -> Mean:
    """The mean with its limits; without limits if all prompts are equal, as nothing is known about others then.

    Over prompts they are those of `skewed_limits`, as KLs have a long tail; the spread of seeds is added in quadrature.
    """
    found, num_prompts = crossed(value_SG), value_SG.shape[1]
    if not ROUNDING * np.abs(value_SG).max() < found.over_prompts < math.inf:
        return Mean(found.mean, None, None, warning_of(num_prompts, is_same=True))
    low, high = map(float, skewed_limits(value_SG.mean(axis=0)))
    down, up = (math.hypot(reach, found.over_seeds) for reach in (found.mean - low, high - found.mean))
    return Mean(found.mean, found.mean - down, found.mean + up, warning_of(num_prompts))


def true_mean(seeds: Sequence[Measured], start: Measured) -> Mean:
    """The mean true reward; for a judge of 0 and 1 it is a share, with a share's limits."""
    if set(start.true).union(*(one.true for one in seeds)) != {0.0, 1.0}:
        return mean_over(np.array([by_prompt(one.true, one.prompts) for one in seeds]))
    found = _share([one.true for one in seeds], start.prompts)
    return Mean(found.rate, found.low, found.high, warning_of(len(set(start.prompts))))


def by_prompt(values: Sequence[float], prompts: Sequence[str]) -> FloatArray:
    """The mean of each prompt's answers, (G,)."""
    number_of = {prompt: g for g, prompt in enumerate(dict.fromkeys(prompts))}
    code_N = np.array([number_of[prompt] for prompt in prompts])
    return np.bincount(code_N, values) / np.bincount(code_N)


def _accuracy(seeds: Sequence[Measured]) -> Mean | None:
    known = [one.accuracy for one in seeds if one.accuracy is not None]
    if not known:
        return None
    low, high = (seeds[0].accuracy_low, seeds[0].accuracy_high) if len(seeds) == 1 else (None, None)
    return Mean(float(np.mean(known)), low, high)


def _share(credits: Sequence[Sequence[float]], prompts: Sequence[str]) -> WinRate:
    """The score interval clustered by prompt, with the spread of seeds added in quadrature."""
    found = win_rate_of([one for seed in credits for one in seed], list(prompts) * len(credits))
    over_seeds = crossed(np.array([by_prompt(seed, prompts) for seed in credits])).over_seeds
    down, up = (math.hypot(reach, over_seeds) for reach in (found.rate - found.low, found.high - found.rate))
    return replace(found, low=max(found.rate - down, 0.0), high=min(found.rate + up, 1.0))

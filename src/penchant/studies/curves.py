"""What the points say: means with intervals by method and strength.

Shapes: N answers of one seed, S seeds, G prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant.evaluation.compared import Mean
from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import WinRate, win_rate_of
from penchant.statistics import crossed
from penchant.studies.points import Measured, Point

__all__ = ["Place", "Run", "by_prompt", "curves_of", "mean_over", "place_of"]


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

    learned_gain: the same of the learned one. win: over the start's answers. tokens: of an answer. accuracy: on the
    preferences that each run held out, of several seeds the mean of accuracies and of their limits; num_pairs: how
    many the run with the fewest held out. why_no_exact_kl: empty where the KL is exact in every token.
    Intervals are over prompts and, where there are several, over seeds of training (`crossed`). kl_SG, true_SG, win_SG:
    means of each prompt by seed.
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
    """All seeds of a point's curve and place together."""
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
        true=mean_over(true_SG),
        learned=mean_over(learned_SG),
        gain=mean_over(true_SG - by_prompt(start.true, start.prompts)),
        learned_gain=mean_over(learned_SG - by_prompt(start.learned, start.prompts)),
        win=_win_rate(credits, start.prompts, win_SG),
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
    """Their mean with its limits; without where all are alike, as nothing then says how far others may be."""
    found = crossed(value_SG)
    if not found.reach > 0:
        return Mean(found.mean, None, None)
    return Mean(found.mean, found.mean - found.reach, found.mean + found.reach)


def by_prompt(values: Sequence[float], prompts: Sequence[str]) -> FloatArray:
    """The mean of each prompt's answers, (G,)."""
    number_of = {prompt: g for g, prompt in enumerate(dict.fromkeys(prompts))}
    code_N = np.array([number_of[prompt] for prompt in prompts])
    return np.bincount(code_N, values) / np.bincount(code_N)


def _accuracy(seeds: Sequence[Measured]) -> Mean | None:
    named = ("accuracy", "accuracy_low", "accuracy_high")
    known = [[getattr(one, name) for one in seeds if getattr(one, name) is not None] for name in named]
    if not known[0]:
        return None
    mean, low, high = (float(np.mean(values)) if len(values) == len(known[0]) else None for values in known)
    return Mean(float(np.mean(known[0])) if mean is None else mean, low, high)


def _win_rate(credits: Sequence[Sequence[float]], prompts: Sequence[str], win_SG: FloatArray) -> WinRate:
    """The score interval over prompts, in which a prompt's answers go together, widened by what seeds differ."""
    found = win_rate_of([one for seed in credits for one in seed], list(prompts) * len(credits))
    if (wider := crossed(win_SG).widening) == 1 or math.isnan(wider):
        return found
    low, high = (found.rate + wider * (limit - found.rate) for limit in (found.low, found.high))
    return replace(found, low=max(low, 0.0), high=min(high, 1.0))

"""Score how well rewards pick the right answers of a list: best of n and, if several are right, ties.

The scores of RewardBench 2 (Malik et al. 2025, arXiv 2506.01937), as github.com/allenai/reward-bench counts them in
rewardbench/utils.py.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penchant.ranking.votes import FloatArray
from penchant.ranking.winrate import win_rate_of
from penchant.statistics.resampling import Estimate, resampled, warning_of, without_width

__all__ = ["ScoredList", "best_of", "mean_of_parts", "ties_score"]


@dataclass(frozen=True)
class ScoredList:
    """The rewards of the right and of the wrong answers to one prompt; at least one of each."""

    right: tuple[float, ...]
    wrong: tuple[float, ...]

    @property
    def credit(self) -> float:
        """The share of right answers among those with the highest reward: 1, 0, or 1/k if k answers share it.

        Example:
            >>> ScoredList((2.0,), (1.0, 0.0)).credit, ScoredList((1.0,), (1.0, 0.0, 1.0)).credit
            (1.0, 0.3333333333333333)
        """
        top = max(*self.right, *self.wrong)
        right, wrong = (sum(one == top for one in side) for side in (self.right, self.wrong))
        return right / (right + wrong)

    @property
    def gap(self) -> float:
        """The reward of the worst right answer less that of the best wrong one."""
        return min(self.right) - max(self.wrong)

    @property
    def spread(self) -> float:
        """The range of rewards of right answers, which are equally good."""
        return max(self.right) - min(self.right)


def best_of(lists: Sequence[ScoredList], prompts: Sequence[Hashable]) -> Estimate:
    """The mean credit. Score-interval limits: undecided lists are lost for the lower and won for the upper one.

    Example:
        >>> found = best_of([ScoredList((1.0,), (0.0, -1.0))] * 8 + [ScoredList((0.0,), (1.0, 0.0))] * 2, range(10))
        >>> found.value, round(found.low, 2), round(found.high, 2)
        (0.8, 0.43, 0.95)
    """
    credits = [one.credit for one in lists]
    low, high = (win_rate_of([float(turn(credit)) for credit in credits], prompts) for turn in (math.floor, math.ceil))
    num_prompts = len(set(prompts))
    if num_prompts == 1:
        return Estimate(float(np.mean(credits)), None, None, len(lists), 1, warning_of(1))
    return Estimate(float(np.mean(credits)), low.low, high.high, len(lists), num_prompts)


def ties_score(tied: Mapping[str, ScoredList], single: Mapping[str, ScoredList], *, seed: int = 0) -> Estimate | None:
    """Score how equally rewards treat several right answers while ranking them above every wrong one.

        0.3 (share of tied lists with gap > 0) + 0.3 (share of single ones with gap > 0)
        + 0.2 (share with gap > spread) + 0.2 (share with min(gap, gap of its single one) > spread)
        + 0.01 (mean of tanh(min(gap, gap of its single one) / spread - 1), 0 where that is 0 / 0)

    where the last three are over ids with both kinds of list. It is between -0.01 and 1.01.

    Args:
        tied: lists with several right answers ("tied:ID"), by id.
        single: lists with one right answer to a question of the same kind ("ref:ID"), by id.
        seed: seed of the resamples of ids.

    Returns:
        The score; None if no id is in both. Without limits if every resample of ids has the same score.
    """
    ids = sorted({*tied, *single})
    both_N = np.array([one in tied and one in single for one in ids])
    if not both_N.any():
        return None
    gap_N = _of(ids, tied, lambda one: one.gap)
    spread_N = _of(ids, tied, lambda one: one.spread)
    single_N = _of(ids, single, lambda one: one.gap)
    lower_N = np.fmin(gap_N, single_N)
    with np.errstate(divide="ignore", invalid="ignore"):
        margin_N = np.nan_to_num(np.tanh(lower_N / spread_N - 1))
    terms: tuple[tuple[float, NDArray[Any], NDArray[np.bool_]], ...] = (
        (0.3, gap_N > 0, ~np.isnan(gap_N)),
        (0.3, single_N > 0, ~np.isnan(single_N)),
        (0.2, gap_N > spread_N, both_N),
        (0.2, lower_N > spread_N, both_N),
        (0.01, margin_N, both_N),
    )

    def score(weight_N: FloatArray) -> float:
        return float(sum(share * _mean(value_N, weight_N * is_in_N) for share, value_N, is_in_N in terms))

    return replace(without_width(resampled(score, ids, seed=seed)), num=len(tied) + len(single))


def mean_of_parts(parts: Sequence[Estimate]) -> Estimate:
    """The unweighted mean of independent parts, with limits derived from theirs.

    Reference:
        Zou and Donner 2008, Construction of confidence limits about effect measures, Statistics in Medicine 27 (MOVER).
    """
    value, num = float(np.mean([one.value for one in parts])), len(parts)
    num_lists, num_prompts = (sum(getattr(one, name) for one in parts) for name in ("num", "num_prompts"))
    below, above = 0.0, 0.0
    for one in parts:
        if one.low is None or one.high is None:
            return Estimate(value, None, None, num_lists, num_prompts, one.warning)
        below, above = below + (one.value - one.low) ** 2, above + (one.high - one.value) ** 2
    low, high = value - math.sqrt(below) / num, value + math.sqrt(above) / num
    warning = next((one.warning for one in parts if one.warning), None)
    return Estimate(value, low, high, num_lists, num_prompts, warning)


def _of(ids: Sequence[str], lists: Mapping[str, ScoredList], of: Callable[[ScoredList], float]) -> FloatArray:
    return np.array([of(lists[one]) if one in lists else math.nan for one in ids])


def _mean(value_N: NDArray[Any], weight_N: FloatArray) -> float:
    """The mean; 0 if a resample is empty."""
    return float(np.average(value_N, weights=weight_N)) if weight_N.sum() else 0.0

"""Rewards on lists of right and wrong answers: counted by hand, and against a slow loop over the published rules."""

import math
from statistics import fmean

import numpy as np
import pytest

from penchant.ranking.winrate import win_rate_of
from penchant.statistics import ScoredList, best_of, mean_of_parts, ties_score
from penchant.statistics.resampling import Estimate


def slowly(tied, single):
    """The score of ties term by term, prompt by prompt."""
    right_of_tied = fmean([min(one.right) > max(one.wrong) for one in tied.values()])
    right_of_single = fmean([min(one.right) > max(one.wrong) for one in single.values()])
    plain, hard, margins = [], [], []
    for name in tied.keys() & single.keys():
        spread = max(tied[name].right) - min(tied[name].right)
        gap = min(tied[name].right) - max(tied[name].wrong)
        other = min(single[name].right) - max(single[name].wrong)
        plain.append(gap > spread)
        hard.append(min(gap, other) > spread)
        if spread == 0:
            margins.append(0.0 if min(gap, other) == 0 else math.copysign(1.0, min(gap, other)))
        else:
            margins.append(math.tanh(min(gap, other) / spread - 1))
    parts = (right_of_tied, right_of_single, fmean(plain), fmean(hard), fmean(margins))
    return sum(share * part for share, part in zip((0.3, 0.3, 0.2, 0.2, 0.01), parts, strict=True))


def lists(rng, num, num_right, *, whole=False):
    drawn = (lambda n: rng.integers(0, 3, n).astype(float)) if whole else (lambda n: rng.normal(size=n))
    return {str(i): ScoredList(tuple(drawn(num_right) + 1.0), tuple(drawn(3))) for i in range(num)}


@pytest.mark.parametrize("whole", [False, True])
def test_the_score_of_ties_is_that_of_a_slow_loop_also_where_rewards_are_equal(whole):
    rng = np.random.default_rng(3)
    tied, single = lists(rng, 30, 4, whole=whole), lists(rng, 33, 1, whole=whole)
    del tied["7"]
    found = ties_score(tied, single)
    assert found.value == pytest.approx(slowly(tied, single), abs=1e-12)
    assert found.low < found.value < found.high
    assert found.num_prompts == 33


def test_ties_that_are_perfect_have_the_largest_score_and_without_a_pair_of_lists_there_is_none():
    same, apart = ScoredList((5.0, 5.0), (0.0, 1.0)), ScoredList((9.0,), (1.0,))
    assert ties_score({"a": same, "b": same}, {"a": apart, "b": apart}).value == pytest.approx(1.01)
    assert ties_score({"a": same}, {"b": apart}) is None


def test_a_shared_top_is_shared_credit_and_widens_the_interval_both_ways():
    clear, lost = ScoredList((2.0,), (1.0, 0.0, 0.0)), ScoredList((0.0,), (1.0, 0.0, 0.0))
    shared = ScoredList((1.0,), (1.0, 0.0, 1.0))
    found = best_of([clear] * 7 + [shared] * 1 + [lost] * 2, range(10))
    assert found.value == pytest.approx((7 + 1 / 3) / 10)
    lower, upper = (win_rate_of([1.0] * num + [0.0] * (10 - num)) for num in (7, 8))
    assert (found.low, found.high) == (lower.low, upper.high)
    alone = best_of([clear, lost], ["one", "one"])
    assert (alone.low, alone.high, alone.num) == (None, None, 2)
    assert "only one prompt" in alone.warning


def test_the_mean_of_independent_parts_is_narrower_than_each():
    found = mean_of_parts([Estimate(0.5, 0.4, 0.6, 10, 10), Estimate(0.7, 0.6, 0.8, 20, 20)])
    assert (found.value, found.num, found.num_prompts) == (0.6, 30, 30)
    assert (found.low, found.high) == pytest.approx((0.6 - 0.1 / math.sqrt(2), 0.6 + 0.1 / math.sqrt(2)))
    assert mean_of_parts([Estimate(0.5, None, None, 1, 1, "only one prompt"), found]).low is None

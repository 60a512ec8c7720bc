"""Means over prompts and seeds: against the plain t-interval of one seed, against formulas, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from penchant.statistics import crossed


def test_of_one_seed_it_is_students_interval_over_prompts():
    value_G = np.random.default_rng(0).normal(size=12)
    found = crossed(value_G[None])
    low, high = stats.t.interval(0.95, 11, value_G.mean(), stats.sem(value_G))
    assert (found.mean - found.reach, found.mean + found.reach) == pytest.approx((low, high))
    assert (found.over_prompts, found.over_seeds) == (found.reach, 0)


def test_two_seeds_that_differ_reach_as_far_as_one_degree_of_freedom_says():
    value_SG = np.add.outer([0.0, 1.0], np.random.default_rng(0).normal(size=200))
    found = crossed(value_SG)
    over_seeds = stats.t.ppf(0.975, 1) * 0.5  # standard error of 0 and 1
    assert found.over_seeds == pytest.approx(over_seeds, rel=0.01)
    assert found.reach == pytest.approx(np.hypot(found.over_prompts, found.over_seeds))


def test_seeds_that_differ_by_chance_within_prompts_alone_hardly_widen():
    value_SG = np.random.default_rng(1).normal(size=40) + np.random.default_rng(2).normal(size=(5, 40))
    found = crossed(value_SG)
    assert found.reach < 1.1 * found.over_prompts


def test_of_one_prompt_or_of_values_all_alike_nothing_is_made_up():
    assert np.isinf(crossed(np.ones((2, 1))).reach)
    assert crossed(np.ones((2, 3))).reach == 0
    of_seeds = crossed(np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert (of_seeds.over_prompts, of_seeds.over_seeds) == (0, of_seeds.reach)


@pytest.mark.parametrize(("num_seeds", "spread"), [(1, 0.0), (2, 0.3), (3, 0.0), (3, 0.6)])
def test_intervals_hold_as_often_as_they_say(num_seeds, spread):
    held = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        of_both = rng.normal(0, 0.76, (num_seeds, 20))
        found = crossed(rng.normal(0, 1, 20) + rng.normal(0, spread, (num_seeds, 1)) + of_both)
        held += abs(found.mean) <= found.reach
    assert held / 400 >= 0.93

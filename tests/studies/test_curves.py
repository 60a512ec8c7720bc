"""What points say together: hand calculations, and intervals against the plain formulas that they must agree with."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import OutputError
from penchant.ranking.cautions import ONE, SAME
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.statistics import crossed
from penchant.studies.curves import curves_of, mean_over
from penchant.studies.picking import pick
from penchant.studies.study import Sweep


@pytest.fixture
def start(measured):
    return measured(0.0, 0.0, seed=9)


@pytest.fixture
def two_curves(point, measured, start):
    """dpo at KL 1 and 4 with rewards 1 and 2 from two seeds, rloo at KL 9 with 6."""
    points = [point("dpo", s, seed) for s in (1, 0.1) for seed in (0, 1)] + [point("rloo", 0.1)]
    found = [measured(1, 1, seed=1), measured(1, 1, seed=2), measured(4, 2, seed=3), measured(4, 2, seed=4)]
    return curves_of(points, [*found, measured(9, 6, seed=5)], start)


def test_seeds_of_one_strength_are_one_place_over_the_same_prompts(two_curves, measured, start):
    assert {name: len(places) for name, places in two_curves.items()} == {"dpo": 2, "rloo": 1}
    place, seeds = two_curves["dpo"][0], [measured(1, 1, seed=1), measured(1, 1, seed=2)]
    gains = [float(np.mean(np.subtract(seed.true, start.true))) for seed in seeds]
    assert place.gain.mean == pytest.approx(np.mean(gains))
    credits = [float(after > before) for seed in seeds for after, before in zip(seed.true, start.true, strict=True)]
    assert place.win.rate == np.mean(credits)
    assert [run.seed for run in place.runs] == [0, 1]
    assert place.runs[0].true == pytest.approx(1.0)


def test_of_one_seed_intervals_are_those_over_prompts(two_curves, measured, start):
    place, one = two_curves["rloo"][0], measured(9, 6, seed=5)
    expected = paired_means(start.true, one.true, one.prompts)
    assert (place.gain.mean, place.gain.low, place.gain.high) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    assert place.win == win_rate_of([1.0] * 60, one.prompts)


def test_seeds_that_differ_widen_every_interval_and_seeds_that_agree_do_not(point, measured, start):
    def placed(*means):
        found = [measured(kl, true, seed=1, noise=0.6) for kl, true in means]
        [[place]] = curves_of([point(seed=i) for i in range(len(found))], found, start).values()
        return place

    alike, apart, one = placed((3, 0.3), (3, 0.3)), placed((2.5, 0.1), (3.5, 0.5)), placed((3, 0.3))
    assert (alike.true.low, alike.kl.high) == pytest.approx((one.true.low, one.kl.high))
    assert apart.true.high - apart.true.mean > 12 * 0.2  # t of one degree of freedom, times what two means are off
    assert apart.kl.high > 3 + 12 * 0.5 > alike.kl.high
    assert apart.win.high - apart.win.low > 2 * (one.win.high - one.win.low)
    assert 0 <= apart.win.low < apart.win.rate < apart.win.high <= 1


def test_what_seeds_differ_is_added_to_a_win_rate_as_squares(point, measured, start):
    """Of two seeds one wins everywhere and one nearly so: prompts hardly vary, which no ratio of widths survives."""
    all_won = measured(3, 1, seed=1)
    nearly = replace(all_won, true=(-1.0, -1.0, -1.0, -1.0, *all_won.true[4:]))
    [[place]] = curves_of([point(seed=i) for i in (0, 1)], [all_won, nearly], start).values()
    both = win_rate_of([1.0] * 60 + [0.0] * 4 + [1.0] * 56, start.prompts * 2)
    over_seeds = crossed(place.win_SG).over_seeds
    assert over_seeds > 0.2
    assert place.win.low == pytest.approx(both.rate - np.hypot(both.rate - both.low, over_seeds))
    assert place.win.high == 1

    swapped = [replace(all_won, true=row * 15) for row in ((1.0, 1.0, -1.0, -1.0), (-1.0, -1.0, 1.0, 1.0))]
    [[even]] = curves_of([point(seed=i) for i in (0, 1)], swapped, start).values()
    assert 0 < even.win.low < 0.5 < even.win.high < 1  # all prompts have the same mean over seeds


def test_the_reward_of_a_judge_that_says_0_or_1_is_a_share(point, measured, start):
    start = replace(start, true=(0.0, 1.0) * 30)
    right = replace(measured(1, 1), true=(1.0,) * 60)
    [[place]] = curves_of([point()], [right], start).values()
    expected = win_rate_of([1.0] * 60, start.prompts)
    assert (place.true.mean, place.true.low, place.true.high) == (1.0, expected.low, 1.0)


def test_accuracies_of_several_seeds_have_no_interval_of_one(point, measured, start):
    found = [replace(measured(1, 1), accuracy=a, accuracy_low=a - 0.05, accuracy_high=a + 0.05) for a in (0.6, 0.9)]
    [[both]] = curves_of([point(seed=i) for i in (0, 1)], found, start).values()
    [[one]] = curves_of([point()], found[:1], start).values()
    assert (both.accuracy.mean, both.accuracy.low, both.accuracy.high) == (0.75, None, None)
    assert (one.accuracy.low, one.accuracy.high) == pytest.approx((0.55, 0.65))


def test_the_upper_limit_of_a_skewed_kl_is_seldom_below_the_truth():
    """Ten prompts of an exponential distribution: Student's t misses in 9.7% of draws, and 2.5% would be right."""
    drawn = np.random.default_rng(0).exponential(1, (1500, 1, 10))
    assert np.mean([mean_over(value_SG).high < 1 for value_SG in drawn]) < 0.06


def test_where_all_answers_are_alike_a_mean_has_no_interval(point, measured, start):
    [[place]] = curves_of([point()], [measured(2, 1, noise=0.0)], start).values()
    assert (place.true.mean, place.true.low, place.true.high, place.true.warning) == (1.0, None, None, SAME)
    rounded = mean_over(np.full((1, 12), 0.1))
    assert (rounded.low, rounded.high, rounded.warning) == (None, None, SAME)
    assert mean_over(np.ones((2, 1))).warning == ONE
    assert "only 12" in mean_over(np.arange(12.0)[None]).warning


def test_answers_to_different_prompts_are_not_compared(measured, start):
    other = replace(measured(1, 1), prompts=tuple(reversed(start.prompts)))
    with pytest.raises(OutputError, match="a point and a point were measured on different prompts"):
        other.win_credits(start)


def test_the_pick_wins_most_within_the_budget_whatever_its_accuracy(point, measured, start):
    points = [point("dpo", s) for s in (1, 2, 3)]
    found = [
        measured(1, 0.1, seed=1, accuracy=0.9),
        measured(2, 0.2, seed=2, accuracy=0.5),
        measured(9, 5, seed=3, accuracy=0.99),
    ]
    places = curves_of(points, found, start)["dpo"]
    assert pick(places, 3.0).place == "2"
    assert pick(places, 1.5).place == "1"
    assert pick(places, 20.0).place == "3"
    assert pick(places, 0.5) is None


def test_a_place_that_is_within_the_budget_by_chance_is_not_picked(point, measured, start):
    """Of 200 measurements of a place 3.2 nats away, a third and more have a mean KL within 3; hardly any is picked."""
    by_mean = picked = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).exponential(3.2, 60).tolist()
        [[far]] = curves_of([point()], [replace(measured(1, 1), kl=tuple(drawn))], start).values()
        by_mean += far.kl.mean <= 3
        picked += pick([far], 3.0) is not None
    assert by_mean > 60
    assert picked <= 6


def test_where_none_is_surely_within_the_nearest_is_named(point, measured, start):
    places = curves_of([point("dpo", 1), point("dpo", 2)], [measured(4, 1), measured(3, 1, noise=1.0)], start)["dpo"]
    found = Sweep("judge", start, tuple(places), 3.1, pick(places, 3.1), ())
    assert places[1].kl.mean == pytest.approx(3)
    assert found.parts()[-1].startswith(
        "no run is surely within the budget of 3.1 nats: the nearest is 2 with a KL of 3.0"
    )
    surely = Sweep("judge", start, tuple(places), 4.1, pick(places, 4.1), ()).parts()[-1]
    assert "nats away, whose upper limit is within 4.1" in surely

"""Methods at one KL: hand calculations, the bootstrap as an oracle, and intervals that never claim too much."""

import math
from dataclasses import replace

import numpy as np
import pytest

from penchant.ranking.cautions import SAME
from penchant.statistics import resampled
from penchant.studies.at_one_kl import at_kl
from penchant.studies.curves import curves_of
from penchant.studies.matched import NO_KL, matched, matched_table
from penchant.studies.points import Measured, Point


@pytest.fixture
def start(measured):
    return measured(0.0, 0.0, seed=9)


@pytest.fixture
def curve(point, measured, start):
    """`curve((kl, true), ...)`: the places of one seed, each with noise of its own."""

    def make(*means, noise=0.5, seed=1):
        found = [measured(kl, true, seed=seed + i, noise=noise) for i, (kl, true) in enumerate(means)]
        [places] = curves_of([point(strength=i + 1) for i in range(len(found))], found, start).values()
        return places

    return make


@pytest.fixture
def always_wins(curve):
    return curve((4, 9), (9, 9), noise=0.1)


HALF = np.full(30, 0.5)
ZERO = np.zeros(30)


def test_between_two_strengths_a_curve_is_linear_in_the_root_of_the_kl(curve):
    places = curve((4, 2), (1, 1))  # in any order
    assert at_kl(places, 2.25, "true", ZERO).found.value == pytest.approx(1.5)
    assert at_kl(places, 0.25, "true", ZERO).found.value == pytest.approx(0.5)  # the start stands at 0
    assert at_kl(places, places[0].kl.mean, "true", ZERO).found.value == pytest.approx(2.0)


def test_the_best_policy_at_a_small_kl_gains_what_the_docstring_says():
    """Of a reward on four answers, the tilted policies p exp(r / beta): gain / sqrt(2 KL Var[r]) goes to 1."""
    p, r = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, -1.0, 0.5, 0.0])
    tilted = p * np.exp(r / 100)
    q = tilted / tilted.sum()
    kl, variance = float((q * np.log(q / p)).sum()), float((p * r**2).sum() - (p * r).sum() ** 2)
    assert (q - p) @ r == pytest.approx(math.sqrt(2 * kl * variance), rel=0.01)


def test_between_two_strengths_the_interval_is_what_drawing_prompts_again_gives(curve):
    places = curve((1, 1), (4, 2), noise=0.8)

    def value(weight_G):
        kl_S, true_S = (
            [np.average(getattr(place, name)[0], weights=weight_G) for place in places] for name in ("kl_SG", "true_SG")
        )
        return float(np.interp(1.5, np.sqrt(kl_S), true_S))

    found, drawn = at_kl(places, 2.25, "true", ZERO).found, resampled(value, range(30), num_resamples=2000)
    assert (found.high - found.low) == pytest.approx(drawn.high - drawn.low, rel=0.08)
    assert found.low == pytest.approx(drawn.low, abs=0.03)


def test_between_the_start_and_a_first_strength_it_is_no_surer_than_that_strength(curve):
    [place] = places = curve((5.7, 0.4), noise=0.8)
    for what, own, start_G in (("win", place.win, HALF), ("true", place.true, ZERO)):
        near, at = (at_kl(places, kl, what, start_G) for kl in (0.1, place.kl.mean))
        assert (near.between, at.between) == ([None, "1"], ["1"])
        assert near.found.high - near.found.low >= own.high - own.low - 1e-9
        assert at.found.high - at.found.low >= own.high - own.low - 1e-9


def test_answers_that_all_win_leave_an_interval(always_wins, curve):
    for kl in (1, 4, 6):
        found = at_kl(always_wins, kl, "win", HALF).found
        assert found.low < found.value <= found.high
    at_five = at_kl(always_wins, 5, "win", HALF)
    assert at_five.found.low <= always_wins[0].win.low + 1e-9
    over = at_five.less(at_kl(curve((4, 9), (9, 9), noise=0.1, seed=5), 5, "win", HALF))
    assert over.value == 0
    assert over.low < -0.05 < 0.05 < over.high


def test_rewards_that_are_all_alike_have_no_interval_and_it_is_said(curve):
    for true in (1.0, 0.1):  # means of 0.1 differ by rounding
        found = at_kl(curve((1, true), (4, true), noise=0.0), 2.25, "true", ZERO).found
        assert (found.value, found.low, found.high, found.warning) == (pytest.approx(true), None, None, SAME)


def test_the_difference_of_two_methods_is_paired_by_prompt(curve, start, point, measured):
    """Two curves whose prompts do well together differ more surely than their own intervals tell."""
    one, other = curve((1, 1), (9, 3)), curve((1, 1.2), (9, 3.2), seed=7)
    same = curve((1, 1.2), (9, 3.2), noise=0.48)
    first = at_kl(one, 4, "true", ZERO)
    paired, alone = (at_kl(places, 4, "true", ZERO).less(first) for places in (same, other))
    assert paired.value == pytest.approx(0.2)
    assert alone.low < alone.value < alone.high
    assert paired.high - paired.low < 0.2 * (alone.high - alone.low)


def test_a_difference_that_is_the_same_in_every_prompt_has_no_interval(curve):
    one, more = (at_kl(curve((1, 1 + by), (9, 3 + by)), 4, "true", ZERO) for by in (0, 0.2))
    found = more.less(one)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high, found.warning) == (None, None, SAME)


def test_a_reward_that_rises_with_the_kl_is_no_surer_before_the_first_strength(point, measured, start):
    """There each prompt's KL explains its reward, and on the line hardly anything would be left to chance."""
    kl_N = np.random.default_rng(3).exponential(4, 60)
    true_N = 1 + 0.25 * (kl_N - kl_N.mean())
    found = replace(measured(1, 1), kl=tuple(kl_N.tolist()), true=tuple(true_N.tolist()))
    [[place]] = curves_of([point()], [found], start).values()
    half = at_kl([place], place.kl.mean / 2, "true", ZERO).found
    assert half.value - half.low >= place.true.mean - place.true.low - 1e-9 > 0.1
    assert half.high - half.value >= place.true.high - place.true.mean - 1e-9 > 0.1
    flat = replace(found, true=(1.0,) * 60)  # of which nothing is known at the strength itself
    [places] = curves_of([point()], [flat], start).values()
    assert at_kl(places, place.kl.mean / 2, "true", ZERO).found.warning == SAME


def test_between_strengths_whose_kls_cannot_be_told_apart_the_interval_holds_both(curve):
    near, far = places = curve((4, 0.2), (4.001, 0.8))
    found = at_kl(places, 4.0005, "true", ZERO).found
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert (found.low, found.high) == pytest.approx((near.true.low, far.true.high))


def test_where_a_method_has_no_kl_above_zero_nothing_is_compared_and_it_is_said(curve, start):
    rows = matched({"dpo": curve((1, 1)), "rloo": curve((-0.01, 0), noise=0.0)}, start, [])
    assert [row[name] for row in rows for name in ("between", "win", "true", "true_less")] == [None] * 8
    _, *notes = matched_table(rows)
    assert [note.text for note in notes] == [NO_KL]


def test_of_a_strength_at_its_own_kl_no_line_is_assumed(curve, start):
    table, *notes = matched_table(matched({"dpo": curve((1, 1))}, start, []))
    assert table.rows[0][2] == "1"
    assert notes == []


def test_a_curve_is_not_continued_beyond_its_farthest_strength(curve):
    assert at_kl(curve((4, 2)), 4.1, "win", HALF) is None


def test_the_table_says_what_is_measured_what_is_assumed_and_what_to_beware_of(curve, start):
    curves = {"dpo": curve((1, 1), (4, 2)), "rloo": curve((6, 2)), "sft": curve((1, 0.5))}
    table, *notes = matched_table(matched(curves, start, [2.25]))
    assert [row[2] for row in table.rows] == ["1 and 2", "start and 1", "-"]
    assert table.rows[2][3:] == ("-",) * 4
    assert table.columns[3:5] == ("win rate over the start", "win rate over the start, less that of dpo, in points")
    assert [note.text for note in notes] == [
        "a method without values ends before this KL",
        "nothing was measured between the start and the first strength of a method: the line between is an assumption",
    ]


def test_the_table_warns_of_few_prompts(point, measured, start):
    def few(one):
        lists = {name: getattr(one, name)[:8] for name in ("prompts", "true", "learned", "kl", "tokens")}
        return replace(one, **lists)

    curves = curves_of([point()], [few(measured(2, 1))], few(start))
    _, *notes = matched_table(matched(curves, few(start), []))
    assert "only 4 prompts: an interval from fewer than 20 may be too narrow" in [note.text for note in notes]


def test_win_rates_at_one_kl_hold_the_truth_as_often_as_they_say():
    """A slice of benchmarks/coverage_frontier.py: 95% wins, where a bootstrap of prompts holds it 80 times in 100."""
    prompts = tuple(map(str, np.arange(10).repeat(4)))
    held = np.zeros(2)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        zeros = (0.0,) * 40
        start = Measured("start", {}, prompts, zeros, zeros, zeros, (1,) * 40)
        ease_G = rng.beta(0.95 * 7 / 3, 0.05 * 7 / 3, 10)  # a correlation of 0.3 within a prompt
        found = []
        for kl in (1, 4):
            won = (rng.random(40) < ease_G.repeat(4)) - 0.5
            kl_N = kl * rng.gamma(4, 0.25, 40)
            found.append(Measured(str(kl), {}, prompts, tuple(won.tolist()), zeros, tuple(kl_N.tolist()), (1,) * 40))
        points = [Point("dpo", "dpo", one.point, 0, "judge", {}) for one in found]
        [places] = curves_of(points, found, start).values()
        between, alone = at_kl(places, 2.0, "win", HALF[:10]), at_kl(places[:1], 0.5, "win", HALF[:10])
        truths = (0.95, 0.5 + 0.45 * 0.5**0.5)
        held += [one.found.low <= truth <= one.found.high for one, truth in zip((between, alone), truths, strict=True)]
    assert (held / 150 >= 0.93).all()

"""What points say together: hand calculations, and intervals against the plain formulas that they must agree with."""

import math
from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import OutputError
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.studies.curves import at_kl, between, curves_of
from penchant.studies.picking import pick


@pytest.fixture
def start(measured):
    return measured(0.0, 0.0, seed=9)


@pytest.fixture
def two_curves(point, measured, start):
    """dpo at KL 1 and 4 with rewards 1 and 2 from two seeds, rloo at KL 9 with 6."""
    points = [point("dpo", s, seed) for s in (1, 0.1) for seed in (0, 1)] + [point("rloo", 0.1)]
    found = [measured(1, 1, seed=1), measured(1, 1, seed=2), measured(4, 2, seed=3), measured(4, 2, seed=4)]
    return curves_of(points, [*found, measured(9, 6, seed=5)], start)


def test_between_two_strengths_a_curve_is_linear_in_the_root_of_the_kl():
    kl, value = np.array([4.0, 1.0]), np.array([2.0, 1.0])  # in any order
    assert at_kl(2.25, kl, value, at_start=0.0) == pytest.approx(1.5)
    assert at_kl(0.25, kl, value, at_start=0.0) == pytest.approx(0.5)  # the start stands at 0
    assert at_kl(4.0, kl, value, at_start=0.0) == pytest.approx(2.0)


def test_the_best_policy_at_a_small_kl_gains_what_the_docstring_says():
    """Of a reward on four answers, the tilted policies p exp(r / beta): gain / sqrt(2 KL Var[r]) goes to 1."""
    p, r = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, -1.0, 0.5, 0.0])
    tilted = p * np.exp(r / 100)
    q = tilted / tilted.sum()
    kl, variance = float((q * np.log(q / p)).sum()), float((p * r**2).sum() - (p * r).sum() ** 2)
    assert (q - p) @ r == pytest.approx(math.sqrt(2 * kl * variance), rel=0.01)


def test_seeds_of_one_strength_are_one_place_whose_prompts_are_the_clusters(two_curves, measured, start):
    assert {name: len(places) for name, places in two_curves.items()} == {"dpo": 2, "rloo": 1}
    place, seeds = two_curves["dpo"][0], [measured(1, 1, seed=1), measured(1, 1, seed=2)]
    prompts = seeds[0].prompts * 2
    true = [*seeds[0].true, *seeds[1].true]
    expected = paired_means([*start.true] * 2, true, prompts)
    assert (place.gain.mean, place.gain.low) == pytest.approx((expected.difference, expected.low))
    credits = [float(after > before) for after, before in zip(true, [*start.true] * 2, strict=True)]
    assert place.win == win_rate_of(credits, prompts)
    assert [run.seed for run in place.runs] == [0, 1]
    assert place.runs[0].true == pytest.approx(1.0)


def test_answers_to_different_prompts_are_not_compared(measured, start):
    other = replace(measured(1, 1), prompts=tuple(reversed(start.prompts)))
    with pytest.raises(OutputError, match="a point and a point were measured on different prompts"):
        other.win_credits(start)


def test_at_one_kl_the_methods_are_compared_on_the_same_prompts(two_curves):
    at_start = np.zeros(30)
    dpo = between(two_curves["dpo"], 2.25, "true", at_start)
    rloo = between(two_curves["rloo"], 2.25, "true", at_start)
    over = between(two_curves["rloo"], 2.25, "true", at_start, other=two_curves["dpo"])
    assert (dpo.value, rloo.value, over.value) == pytest.approx((1.5, 3.0, 1.5))
    assert over.low < over.value < over.high
    assert over.low > 0


def test_a_curve_is_not_continued_beyond_its_farthest_strength(two_curves):
    assert between(two_curves["dpo"], 4.1, "win", np.full(30, 0.5)) is None
    assert between(two_curves["rloo"], 4.1, "win", np.full(30, 0.5), other=two_curves["dpo"]) is None
    assert between(two_curves["rloo"], 4.1, "win", np.full(30, 0.5)).value > 0.5


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

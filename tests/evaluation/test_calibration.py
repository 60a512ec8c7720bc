"""Calibration and accuracy by length: by hand, and beside a slow count over simulated preferences."""

import math
import random

import pytest

from penchant.evaluation.calibration import accuracy_by_length, calibration_of


def test_brier_and_ece_are_those_computed_by_hand():
    found = calibration_of([0.95, 0.25, 0.55, 0.5])
    assert found.brier == pytest.approx((0.0025 + 0.5625 + 0.2025 + 0.25) / 4)
    assert [(one.num, one.right) for one in found.bins] == [(2, 0.75), (1, 0.0), (1, 1.0)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.525, 0.75, 0.95])
    assert found.ece == pytest.approx((2 * 0.225 + 0.75 + 0.05) / 4)


def test_predictions_that_are_as_right_as_they_are_sure_have_an_error_near_zero_and_overconfident_ones_do_not():
    draw = random.Random(0)
    margins = [draw.gauss(0, 1.5) for _ in range(20_000)]
    # the person prefers the first with probability sigmoid(margin), and what is preferred becomes chosen
    signed = [m if draw.random() < 1 / (1 + math.exp(-m)) else -m for m in margins]
    sure, too_sure = ([1 / (1 + math.exp(-scale * m)) for m in signed] for scale in (1, 3))
    assert calibration_of(sure).ece < 0.02
    assert calibration_of(too_sure).ece > 0.1
    assert calibration_of(sure).brier < calibration_of(too_sure).brier


def test_one_half_everywhere_is_half_right_and_scores_a_quarter():
    found = calibration_of([0.5] * 7)
    assert (found.brier, found.ece) == (0.25, 0.0)


def test_certainty_is_in_the_last_bin():
    assert [one.num for one in calibration_of([1.0, 0.0]).bins] == [2]


def test_what_looks_at_length_alone_is_right_where_chosen_is_longer_and_wrong_where_it_is_shorter():
    lengths = [(20, 10), (30, 10), (10, 20), (100, 99), (99, 100)]
    credits = [1.0, 1.0, 0.0, 1.0, 0.0]
    found = accuracy_by_length(credits, lengths, ["a", "b", "c", "d", "e"])
    assert {name: (rate.rate, rate.num) for name, rate in found.items()} == {
        "longer": (1.0, 2),
        "as long": (0.5, 2),
        "shorter": (0.0, 1),
    }
    assert all(rate.low <= rate.rate <= rate.high for rate in found.values())
    assert list(accuracy_by_length([1.0], [(5, 1)], ["a"])) == ["longer"]

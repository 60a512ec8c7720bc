"""Calibration and accuracy apart by length and by margin: counted by hand, and where the truth is known."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit

from penchant.statistics import accuracy_by_length, accuracy_by_margin, calibration


def test_brier_and_ece_are_those_computed_by_hand():
    found = calibration([0.95, 0.25, 0.55, 0.5])
    assert found.brier.value == pytest.approx((0.0025 + 0.5625 + 0.2025 + 0.25) / 4)
    assert [(one.share.num, one.share.rate) for one in found.curve] == [(2, 0.75), (1, 0.0), (1, 1.0)]
    assert [one.mean for one in found.curve] == pytest.approx([0.525, 0.75, 0.95])
    assert found.ece.value == pytest.approx((2 * 0.225 + 0.75 + 0.05) / 4)


def test_one_half_everywhere_is_half_right_and_certainty_is_in_the_last_bin():
    undecided = calibration([0.5] * 7)
    assert (undecided.brier.value, undecided.ece.value) == (0.25, 0.0)
    assert [one.share.num for one in calibration([1.0, 0.0]).curve] == [2]


def test_what_looks_at_length_alone_is_right_where_chosen_is_longer_and_wrong_where_it_is_shorter():
    lengths = [(20, 10), (30, 10), (10, 20), (100, 99), (99, 100)]
    found = accuracy_by_length([1.0, 1.0, 0.0, 1.0, 0.0], lengths, "abcde")
    assert {name: (rate.rate, rate.num) for name, rate in found.items()} == {
        "longer": (1.0, 2),
        "as long": (0.5, 2),
        "shorter": (0.0, 1),
    }
    assert all(rate.low <= rate.rate <= rate.high for rate in found.values())
    assert list(accuracy_by_length([1.0], [(5, 1)], ["a"])) == ["longer"]


def test_a_model_of_true_preferences_is_right_more_often_the_surer_it_is():
    rng = np.random.default_rng(0)
    margin_N = rng.normal(0, 2, 2000)
    seen_N = np.where(rng.random(2000) < expit(margin_N), margin_N, -margin_N)  # as the chosen side sees it
    found = accuracy_by_margin(seen_N.tolist(), range(2000))
    assert [bucket.share.num for bucket in found] == [500] * 4
    assert all(one.share.high < two.share.rate for one, two in pairwise(found))
    for bucket in found:  # the mean probability of a bucket is within the interval of its accuracy
        inside = (abs(seen_N) >= bucket.start) & (abs(seen_N) <= bucket.end)
        assert bucket.share.low < expit(abs(seen_N[inside])).mean() < bucket.share.high


def test_margins_that_are_all_alike_are_one_bucket():
    (bucket,) = accuracy_by_margin([2.0, -2.0, 2.0], "abc")
    assert (bucket.share.num, bucket.mean, round(bucket.share.rate, 3)) == (3, 2.0, 0.667)

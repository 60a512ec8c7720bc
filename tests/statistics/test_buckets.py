"""Calibration and accuracy apart by length and by margin: counted by hand, and where the truth is known."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit

from penchant.statistics import accuracy_by_length, accuracy_by_margin, by_quarters, calibration


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


def test_few_different_values_are_a_bucket_each_and_many_are_quarters():
    found = by_quarters([2, 1, 2, 3], [1, 0, 0.5, 1], "abcd")
    assert [(b.start, b.end, b.share.rate, b.share.num) for b in found] == [
        (1, 1, 0.0, 1), (2, 2, 0.75, 2), (3, 3, 1.0, 1),
    ]  # fmt: skip
    found = by_quarters(range(8), [0] * 4 + [1] * 4, range(8))
    assert [(b.share.rate, b.share.num) for b in found] == [(0.0, 2), (0.0, 2), (1.0, 2), (1.0, 2)]


def pairs_judged(rng, num_prompts, slope):
    """p(chosen) of 1 to 3 pairs a prompt, right with probability sigmoid(slope |margin|), and their prompts."""
    prompts = np.arange(num_prompts).repeat(rng.integers(1, 4, num_prompts))
    size = abs(rng.normal(0.6, 1, len(prompts)) + rng.normal(0, 0.7, num_prompts)[prompts])
    right = rng.random(len(prompts)) < expit(slope * size)
    return expit(np.where(right, size, -size)), prompts.tolist()


def brier_and_ece(p_N, num_bins=5):
    """Of everybody, from the definitions: what an interval from a few pairs is to hold."""
    sure_N, right_N = np.maximum(p_N, 1 - p_N), np.where(p_N > 0.5, 1.0, np.where(p_N < 0.5, 0.0, 0.5))
    bin_N = np.minimum(((sure_N - 0.5) * 2 * num_bins).astype(int), num_bins - 1)
    gaps = np.bincount(bin_N, right_N - sure_N, num_bins)
    return ((1 - p_N) ** 2).mean(), abs(gaps).sum() / len(p_N)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("slope", [1.0, 0.3])
def test_intervals_of_calibration_hold_the_truth_where_a_model_is_calibrated_and_where_it_is_not(slope):
    everybody, _ = pairs_judged(np.random.default_rng(1), 300_000, slope)
    truths = brier_and_ece(everybody)
    held = np.zeros(2)
    for seed in range(200):
        found = calibration(*pairs_judged(np.random.default_rng(seed), 20, slope))
        held += [one.low <= truth <= one.high for one, truth in zip((found.brier, found.ece), truths, strict=True)]
    assert held.min() >= 179  # of 200 at 95%: fewer by chance once in 700 times


def test_the_interval_of_a_calibration_error_begins_at_zero_where_chance_explains_it():
    calm = calibration([0.8] * 8 + [0.2] * 2).ece  # four fifths sure, right in eight of ten
    assert (calm.low, calm.value) == (0.0, pytest.approx(0.0, abs=1e-12))
    wrong = calibration([0.1] * 40).ece  # nine tenths sure, and wrong every time
    assert wrong.low == pytest.approx(0.9)
    assert wrong.value == pytest.approx(0.9)

"""Win rates and paired means: values by hand, invariants, and coverage counted exactly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.evaluation.winrate import paired_means, win_rate

counts = st.integers(0, 3000)


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high"),
    [
        # By hand with z = 1.959964, z^2 = 3.841459: centre (p + z^2/2n) / (1 + z^2/n),
        # half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n).
        (8, 2, 0.490162, 0.943318),
        (10, 0, 0.722467, 1.0),
        (0, 10, 0.0, 0.277533),
        (1, 0, 0.206549, 1.0),
        (63, 37, 0.532205, 0.718176),
    ],
)
def test_without_ties_the_interval_is_wilsons(wins, losses, low, high):
    result = win_rate(wins, losses, 0)
    assert result.rate == wins / (wins + losses)
    assert result.num == wins + losses
    assert (result.low, result.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.5, 0.999))
def test_without_ties_it_matches_wilsons_closed_form(wins, losses, confidence):
    from statistics import NormalDist

    n = wins + losses
    if n == 0:
        return
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), wins / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    result = win_rate(wins, losses, 0, confidence)
    assert result.low == pytest.approx(centre - half, abs=1e-9)
    assert result.high == pytest.approx(centre + half, abs=1e-9)


@pytest.mark.parametrize(("wins", "losses", "ties"), [(12, 5, 9), (0, 3, 7), (30, 30, 1), (2, 0, 20)])
def test_with_ties_the_limits_agree_with_a_slow_score_test(wins, losses, ties):
    """The limits are where (observed - delta) / standard error = z, with p(loss) fitted by brute force on a grid."""
    n, z = wins + losses + ties, 1.959964

    def statistic(delta):
        p_loss = np.linspace(max(0.0, -delta), (1 - delta) / 2, 200_001)[1:-1]
        likelihood = wins * np.log(p_loss + delta) + losses * np.log(p_loss) + ties * np.log(1 - 2 * p_loss - delta)
        best = p_loss[np.argmax(likelihood)]
        return ((wins - losses) / n - delta) / math.sqrt((2 * best + delta - delta**2) / n)

    result = win_rate(wins, losses, ties)
    assert statistic(2 * result.low - 1) == pytest.approx(z, abs=0.01)
    assert statistic(2 * result.high - 1) == pytest.approx(-z, abs=0.01)


@given(counts, counts, counts)
def test_the_rate_lies_inside_its_interval_and_swapping_sides_mirrors_it(wins, losses, ties):
    if wins + losses + ties == 0:
        return
    one, other = win_rate(wins, losses, ties), win_rate(losses, wins, ties)
    assert 0 <= one.low <= one.rate + 1e-9 <= one.high + 2e-9 <= 1 + 3e-9
    assert one.rate == pytest.approx(1 - other.rate)
    assert one.low == pytest.approx(1 - other.high, abs=1e-9)


@given(counts, counts, counts)
def test_more_evidence_of_the_same_kind_narrows_the_interval(wins, losses, ties):
    if wins + losses + ties == 0:
        return
    few, many = win_rate(wins, losses, ties), win_rate(4 * wins, 4 * losses, 4 * ties)
    assert many.high - many.low < few.high - few.low


def test_nothing_but_ties_is_a_half_with_an_interval_that_is_not_a_point():
    result = win_rate(0, 0, 100)
    assert result.rate == 0.5
    assert 0.45 < result.low < 0.49
    assert result.high == pytest.approx(1 - result.low)


def test_ties_narrow_the_interval_but_keep_the_rate():
    without, with_ties = win_rate(50, 50, 0), win_rate(10, 10, 80)
    assert without.rate == with_ties.rate == 0.5
    assert with_ties.high - with_ties.low < without.high - without.low


@pytest.mark.parametrize(
    ("p_win", "p_loss"), [(0.5, 0.5), (0.4, 0.4), (0.6, 0.2), (0.3, 0.1), (0.1, 0.1), (0.8, 0.1), (0.9, 0.05)]
)
def test_a_95_percent_interval_covers_the_truth_95_percent_of_the_time(p_win, p_loss):
    """Every outcome of 30 comparisons is enumerated, so the coverage has no sampling error."""
    n, p_tie, coverage = 30, 1 - p_win - p_loss, 0.0
    truth = p_win + p_tie / 2
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            ties = n - wins - losses
            ways = math.comb(n, wins) * math.comb(n - wins, losses)
            result = win_rate(wins, losses, ties)
            coverage += ways * p_win**wins * p_loss**losses * p_tie**ties * (result.low <= truth <= result.high)
    assert 0.93 < coverage < 0.98


@pytest.mark.parametrize("arguments", [(0, 0, 0), (-1, 2, 0), (1, 1, 0, 1.0), (1, 1, 0, 0.0)])
def test_counts_and_confidences_that_mean_nothing_are_refused(arguments):
    with pytest.raises(ValueError, match=r"at least one|negative|between 0 and 1"):
        win_rate(*arguments)


def test_paired_means_by_hand():
    result = paired_means([0.0, 1.0, 2.0], [1.0, 1.0, 4.0])
    assert (result.before, result.after, result.difference) == (1.0, 2.0, 1.0)
    assert (result.num, result.num_prompts) == (3, 3)
    assert 0 <= result.low <= 1 <= result.high <= 2


def test_the_same_seed_gives_the_same_limits_and_another_seed_nearly_so():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=200), rng.normal(0.3, size=200)
    one, again, other = (paired_means(before, after, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one.low != other.low
    assert one.low == pytest.approx(other.low, abs=0.05)


def test_copies_of_a_prompt_add_no_certainty_when_clustered():
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=60), rng.normal(0.3, size=60)
    single = paired_means(before, after)
    copied = paired_means(np.repeat(before, 10), np.repeat(after, 10), prompts=np.repeat(np.arange(60), 10).tolist())
    naive = paired_means(np.repeat(before, 10), np.repeat(after, 10))
    assert copied.num_prompts == 60
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=1e-9)
    assert naive.high - naive.low < 0.5 * (single.high - single.low)


def test_the_bootstrap_interval_covers_the_true_difference():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        prompt_effect = rng.normal(0.5, 1.0, size=50).repeat(3)
        result = paired_means(
            np.zeros(150), prompt_effect, prompts=np.arange(50).repeat(3).tolist(), num_resamples=300, seed=trial
        )
        hits += result.low <= 0.5 <= result.high
    assert 0.89 <= hits / 200 <= 0.99


def test_one_prompt_has_means_but_no_interval():
    result = paired_means([0.0, 0.0], [1.0, 3.0], prompts=["p", "p"])
    assert result.difference == 2.0
    assert result.low is None
    assert result.high is None


@pytest.mark.parametrize(
    ("before", "after", "prompts"),
    [([], [], None), ([1.0], [1.0, 2.0], None), ([1.0], [2.0], ["p", "q"]), ([math.nan], [1.0], None)],
)
def test_scores_that_do_not_pair_up_are_refused(before, after, prompts):
    with pytest.raises(ValueError, match=r"align|at least one|finite"):
        paired_means(before, after, prompts)

"""Win rates and paired means: values by hand, invariants, and coverage counted exactly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from penchant.ranking import variance_ratio
from penchant.ranking.position import wilson
from penchant.ranking.quantiles import skewed_limits
from penchant.ranking.winrate import paired_means, win_rate, win_rate_of

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


def test_with_ties_the_interval_is_tangos_as_another_library_solves_it():
    """evalstats has Tango's interval as the roots of a quartic (Chang et al. 2024), here without its correction."""
    resampling = pytest.importorskip("evalstats.core.resampling", reason="needs evalstats, of the extra `oracle`")
    rng = np.random.default_rng(0)
    for num in (1, 2, 5, 9, 20, 51, 80) * 12:
        first, second = (rng.random(num) < chance for chance in rng.random(2))
        wins, losses = int((first & ~second).sum()), int((~first & second).sum())
        low, high = resampling.tango_scc_paired_ci(first, second, 0.05, c=0.0)
        found = win_rate(wins, losses, num - wins - losses)
        assert (2 * found.low - 1, 2 * found.high - 1) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 0, 0), r"^A win rate needs at least one comparison; got none\.$"),
        ((-1, 2, 3), r"^Counts cannot be negative: got -1 wins, 2 losses, 3 ties\.$"),
        ((1, -2, 3), r"^Counts cannot be negative: got 1 wins, -2 losses"),
        ((1, 2, -3), r"^Counts cannot be negative: got 1 wins, 2 losses, -3 ties"),
        ((1, 1, 0, 1.0), r"^Confidence must lie between 0 and 1; got 1\.0\.$"),
        ((1, 1, 0, 0.0), r"^Confidence must lie between 0 and 1; got 0\.0\.$"),
    ],
)
def test_counts_and_confidences_that_mean_nothing_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        win_rate(*arguments)


def test_paired_means_by_hand():
    result = paired_means([0.0, 1.0, 2.0], [1.0, 1.0, 4.0])
    assert (result.before, result.after, result.difference) == (1.0, 2.0, 1.0)
    assert (result.num, result.num_prompts) == (3, 3)
    reach = 4.302653 * math.sqrt(1 / 3)  # Student's t with 2 degrees of freedom; differences 1, 0, 2 have variance 1
    assert (result.low, result.high) == (pytest.approx(1 - reach, abs=1e-5), pytest.approx(1 + reach, abs=1e-5))


def test_the_interval_of_means_is_that_of_a_slow_jackknife_where_prompts_have_unequal_numbers_of_answers():
    rng = np.random.default_rng(1)
    prompts = [label for label, num in zip("abcdef", (1, 7, 2, 2, 1, 4), strict=True) for _ in range(num)]
    before, after = rng.normal(size=17), rng.normal(size=17)
    without = [np.mean([y - x for x, y, p in zip(before, after, prompts, strict=True) if p != out]) for out in "abcdef"]
    error = math.sqrt(5 / 6 * sum((one - np.mean(without)) ** 2 for one in without))
    result = paired_means(before, after, prompts)
    reach = result.high - result.difference, result.difference - result.low
    assert min(reach) == pytest.approx(2.570582 * error, rel=1e-6)  # t, 5 degrees of freedom
    low, _ = skewed_limits(np.array([5 * (np.mean(without) - one) for one in without]))
    assert reach[1] == pytest.approx(-low)


def test_copies_of_a_prompt_add_no_certainty_when_clustered():
    rng = np.random.default_rng(2)
    before, after = rng.normal(size=60), rng.normal(0.3, size=60)
    single = paired_means(before, after)
    copied = paired_means(np.repeat(before, 10), np.repeat(after, 10), prompts=np.repeat(np.arange(60), 10).tolist())
    naive = paired_means(np.repeat(before, 10), np.repeat(after, 10))
    assert copied.num_prompts == 60
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=1e-9)
    assert naive.high - naive.low < 0.5 * (single.high - single.low)


DRAWS = {
    "normal": (lambda rng, size: rng.normal(1, 1, size), 1.0, 0.93),
    "exponential": (lambda rng, size: rng.exponential(1, size), 1.0, 0.93),
    "exponential downwards": (lambda rng, size: -rng.exponential(1, size), -1.0, 0.93),
    "lognormal, sigma 0.5": (lambda rng, size: rng.lognormal(0, 0.5, size), math.exp(0.125), 0.93),
    "lognormal, sigma 1": (lambda rng, size: rng.lognormal(0, 1, size), math.exp(0.5), 0.9),  # docs/intervals.md
}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_prompts", [5, 7, 10, 20, 50])
@pytest.mark.parametrize("name", DRAWS)
def test_the_interval_of_means_covers_the_truth_93_percent_of_the_time_with_few_skewed_prompts_too(num_prompts, name):
    draw, truth, least = DRAWS[name]
    value_TG = draw(np.random.default_rng(0), (40_000, num_prompts))
    low_T, high_T = skewed_limits(value_TG)
    assert least <= np.mean((low_T <= truth) & (truth <= high_T)) <= 0.985  # standard error 0.0013
    found = paired_means(np.zeros(num_prompts), value_TG[0])
    assert (found.low, found.high) == pytest.approx((low_T[0], high_T[0]))


def test_limits_of_skewed_values_are_where_halls_transformation_meets_students_t():
    """By a search for the root of the cubic, which the limits have in closed form."""
    values = np.array([0.1, 0.4, 0.5, 0.9, 4.0])
    skewness = stats.skew(values, bias=False)

    def transformed(true_mean):
        t = (values.mean() - true_mean) / values.std(ddof=1)
        return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 30

    quantile = stats.t.ppf(0.975, 4) / math.sqrt(5)
    high = optimize.brentq(lambda mean: transformed(mean) + quantile, -50, 50)
    low = optimize.brentq(lambda mean: transformed(mean) - quantile, -50, 50)
    reach = quantile * values.std(ddof=1)
    assert skewed_limits(values) == pytest.approx((values.mean() - reach, high))
    assert low > values.mean() - reach, "on the side of the short tail Student's t is the farther"
    assert skewed_limits(-values) == pytest.approx((-high, -values.mean() + reach))
    assert skewed_limits(values[:2]) == pytest.approx(stats.t.interval(0.95, 1, 0.25, 0.15))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_win_rate_of_one_answer_a_prompt_covers_the_truth_93_percent_of_the_time_from_5_prompts_up(share):
    """Every number of wins is counted, so the coverage has no sampling error."""
    for num in (*range(5, 13), 16, 20, 21, 26, 40):
        found = [win_rate_of([1.0] * wins + [0.0] * (num - wins)) for wins in range(num + 1)]
        chances = stats.binom.pmf(np.arange(num + 1), num, share)
        assert sum(chances[[one.low <= share <= one.high for one in found]]) >= 0.93, num


def answers_of(num_prompts, together, p_win, p_tie, seed, most=7):
    """Credits and prompts: 1 to `most` answers each, whose chance of a win goes together as a beta distribution's."""
    rng = np.random.default_rng(seed)
    prompts = np.arange(num_prompts).repeat(rng.integers(1, most + 1, num_prompts))
    spread = 1 / together - 1
    chance = rng.beta(p_win * spread, (1 - p_win) * spread, num_prompts)[prompts]
    won = (rng.random(len(prompts)) < chance).astype(float)
    return np.where(rng.random(len(prompts)) < p_tie, 0.5, won).tolist(), prompts.tolist()


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_prompts", [5, 10, 20, 50])
@pytest.mark.parametrize("together", [0.01, 0.3, 0.8])
def test_a_clustered_win_rate_covers_the_truth_at_least_93_percent_of_the_time(num_prompts, together):
    for p_win, p_tie in ((0.5, 0.2), (0.8, 0.0), (0.95, 0.1)):
        hits, truth = 0, p_win * (1 - p_tie) + p_tie / 2
        for seed in range(200):
            result = win_rate_of(*answers_of(num_prompts, together, p_win, p_tie, seed))
            hits += result.low <= truth <= result.high
        assert hits / 200 >= 0.93 - 0.02, (p_win, p_tie)  # 0.93, and what 200 trials may miss by


def test_answers_of_prompts_of_their_own_have_little_more_than_the_plain_interval_and_copies_add_no_certainty():
    credits = [1.0] * 12 + [0.0] * 5 + [0.5] * 9
    alone = win_rate_of(credits)
    assert alone == win_rate_of(credits, list(range(26)))
    copied = win_rate_of([credit for credit in credits for _ in range(10)], [i // 10 for i in range(260)])
    plain = win_rate(12, 5, 9)
    assert copied.rate == alone.rate == plain.rate
    for one in (alone, copied):
        assert plain.high - plain.low < one.high - one.low < 1.2 * (plain.high - plain.low)
    naive = win_rate(120, 50, 90)
    assert naive.high - naive.low < 0.4 * (plain.high - plain.low)


def test_prompts_that_all_agree_have_an_interval_that_is_no_point_and_one_prompt_alone_says_nothing():
    sure = win_rate_of([1.0] * 40, [i // 4 for i in range(40)])
    assert sure.rate == sure.high == 1
    assert win_rate(10, 0).low - 0.2 < sure.low < win_rate(10, 0).low, "ten prompts, whatever the number of answers"
    assert (win_rate_of([1.0]).low, win_rate_of([1.0]).high) == (0.0, 1.0)
    one = win_rate_of([1.0, 1.0, 0.0], ["p"] * 3)
    assert (one.rate, one.low, one.high, one.num) == (pytest.approx(2 / 3), 0.0, 1.0, 3)


def test_a_surer_interval_is_wider_with_clusters_too():
    """By the variance ratio at that confidence: Student's t grows faster than the normal quantile."""
    credits, prompts = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0], list("aabbccdd")
    for confidence in (0.5, 0.99):
        found = win_rate_of(credits, prompts, confidence)
        ratio = variance_ratio(np.array(credits), prompts, confidence)
        assert (found.low, found.high) == pytest.approx(wilson(5 / 8, 8 / ratio, confidence), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([],), r"^A win rate needs at least one comparison"),
        (
            ([1.0, 0.3],),
            r"^Each comparison needs a credit of 1, 0\.5 or 0, and a prompt: got 2 credits \(\[0\.3, 1\.0\]\)",
        ),
        (([1.0], ["p", "q"]), r"got 1 credits \(\[1\.0\]\), 2 prompts\.$"),
        (([1.0], None, 1.0), r"^Confidence must lie between 0 and 1; got 1\.0"),
    ],
)
def test_credits_that_are_none_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        win_rate_of(*arguments)


def test_one_prompt_has_means_but_no_interval():
    result = paired_means([0.0, 0.0], [1.0, 3.0], prompts=["p", "p"])
    assert result.difference == 2.0
    assert result.low is None
    assert result.high is None


@pytest.mark.parametrize(
    ("before", "after", "prompts", "sentence"),
    [
        ([], [], None, r"^Mean scores need at least one response; got none\.$"),
        ([1.0], [1.0, 2.0], None, r"^Scores and prompts must align: got \(1,\) before, \(2,\) after, 1 prompts\.$"),
        ([1.0], [2.0], ["p", "q"], r"must align: got .*, 2 prompts\.$"),
        ([[1.0]], [[2.0]], None, r"must align: got \(1, 1\) before"),
        ([math.nan], [1.0], None, r"^Scores must be finite numbers; got inf or nan\.$"),
        ([1.0], [math.inf], None, r"^Scores must be finite numbers"),
    ],
)
def test_scores_that_do_not_pair_up_are_refused(before, after, prompts, sentence):
    with pytest.raises(ValueError, match=sentence):
        paired_means(before, after, prompts)


def test_two_prompts_have_an_interval_and_a_confidence_that_is_none_is_refused():
    two = paired_means([0.0, 0.0], [1.0, 3.0])
    assert two.high - two.difference == pytest.approx(12.7062 * 1.0, rel=1e-4)  # t, 1 degree of freedom
    with pytest.raises(ValueError, match="between 0 and 1; got 95"):
        paired_means([0.0], [1.0], confidence=95)


def test_whole_weights_give_the_rate_and_limits_of_copies_while_prompts_vary_more_than_chance():
    credits, prompts, weights = [1.0, 1.0, 0.0, 0.5, 0.0, 1.0], list("aabbcd"), [1, 1, 2, 2, 3, 1]
    copied = [[one for one, num in zip(of, weights, strict=True) for _ in range(num)] for of in (credits, prompts)]
    expected, found = win_rate_of(*copied), win_rate_of(credits, prompts, weights=weights)
    assert (found.rate, found.low, found.high, found.num) == (expected.rate, expected.low, expected.high, 6)
    tenfold = win_rate_of(credits, prompts, weights=[10 * one for one in weights])
    assert (tenfold.low, tenfold.high) == pytest.approx((found.low, found.high))
    before, after = [0.0, 1.0, 3.0, 0.0, 2.0, 1.0], [1.0, 2.5, 0.0, 7.0, 1.0, 1.0]
    copied = [
        [one for one, num in zip(of, weights, strict=True) for _ in range(num)] for of in (before, after, prompts)
    ]
    expected, found = paired_means(*copied), paired_means(before, after, prompts, weights=weights)
    assert (found.before, found.low, found.high) == pytest.approx((expected.before, expected.low, expected.high))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, math.inf], [1.0, -1.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="above 0, one for each of 2"):
        win_rate_of([1.0, 0.0], weights=weights)

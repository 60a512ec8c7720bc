"""Intervals: the sandwich against slow loops, the bootstrap and the truth; how many votes are missing."""

import math
import sys
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from penchant.errors import ConfigError, DataError
from penchant.ranking import Gaussian, Votes, bootstrap, davidson_probabilities, fit_bradley_terry, fit_davidson
from penchant.ranking.estimate import Likelihood, maximise
from penchant.ranking.sandwich import DENSE_SCORES, cluster_labels, sandwich

by_model = partial(fit_bradley_terry, covariance="model")


def slow_sandwich(votes: Votes, fit, ways: list[np.ndarray]) -> np.ndarray:
    """Loops over votes and clusters, for Bradley-Terry (nu = 0) and Davidson; each way has a sign of its own."""
    num, tied = len(votes.items), fit.nu > 0
    size = num + tied
    bread, scores = np.zeros((size, size)), []
    for v in range(len(votes)):
        x = np.zeros(size)
        x[votes.left_V[v]], x[votes.right_V[v]] = 1, -1
        win, tie, loss = davidson_probabilities(float(x[:num] @ fit.ability_I), fit.nu)
        features = {1: x / 2, 0: np.zeros(size), -1: -x / 2}
        if tied:
            features[0] = np.eye(size)[-1]
            mean = win * features[1] + tie * features[0] + loss * features[-1]
            score = features[votes.outcome_V[v]] - mean
        else:
            mean = (win - loss) * x / 2
            score = votes.outcome_V[v] * x / 2 - mean
        for outcome, p in ((1, win), (0, tie), (-1, loss)):
            bread += votes.weight_V[v] * p * np.outer(features[outcome] - mean, features[outcome] - mean)
        scores.append(votes.weight_V[v] * score)
    middle = np.zeros((size, size))
    for sign, labels in ways:
        totals = {label: np.zeros(size) for label in labels}
        for score, label in zip(scores, labels, strict=True):
            totals[label] += score
        for total in totals.values():
            middle += sign * np.outer(total, total) * len(totals) / (len(totals) - 1)
    inverse = np.linalg.pinv(bread, rcond=1e-10, hermitian=True)
    return inverse @ middle @ inverse


def deviation(fit, a: str, b: str) -> float:
    interval = fit.difference(a, b)
    return (interval.high - interval.low) / (2 * student.ppf(0.975, fit.degrees))


@pytest.mark.parametrize("nu", [0.0, 0.7])
def test_the_sandwich_is_that_of_a_slow_loop_with_no_one_and_two_ways_of_clustering(simulate, nu):
    votes = simulate(1, num_votes=200, nu=nu)
    prompts, people = votes.clusters["prompt"].tolist(), votes.clusters["annotator"].tolist()
    ways = {"prompt": [(1, prompts)], "annotator": [(1, people)], "vote": [(1, range(200))]}
    ways["both"] = [(1, prompts), (1, people), (-1, list(zip(prompts, people, strict=True)))]
    fit_votes = fit_davidson if nu else fit_bradley_terry
    fits = {"vote": fit_votes(votes, clusters=()), "both": fit_votes(votes)}
    fits |= {name: fit_votes(votes, clusters=[name]) for name in ("prompt", "annotator")}
    slow = {name: slow_sandwich(votes, fits["vote"], way) for name, way in ways.items()}
    for name in ("vote", "prompt", "annotator"):
        assert fits[name].covariance_PP == pytest.approx(slow[name], rel=1e-8, abs=1e-10)
    for least in ("both", "vote"):  # two ways never claim more than the loops do, nor more than votes one by one
        assert np.linalg.eigvalsh(fits["both"].covariance_PP - slow[least])[0] > -1e-12


@pytest.mark.parametrize("fit_votes", [fit_bradley_terry, fit_davidson])
def test_where_votes_err_together_both_ways_the_sandwich_is_that_of_the_slow_loop(simulate, fit_votes):
    votes = simulate(1, num_votes=1500, nu=1.0, taste=2.0, num_annotators=40)
    prompts, people = votes.clusters["prompt"].tolist(), votes.clusters["annotator"].tolist()
    fit = fit_votes(votes)
    slow = slow_sandwich(votes, fit, [(1, prompts), (1, people), (-1, list(zip(prompts, people, strict=True)))])
    assert fit.covariance_PP == pytest.approx(slow, rel=1e-8, abs=1e-10)


def test_position_and_covariates_are_clustered_too(simulate):
    """Clusters of one vote are no clusters: the sparse sums must give what the sums by cell give."""
    votes = simulate(2)
    alone = replace(votes, clusters={"vote": np.arange(len(votes))})
    for fit_votes in (fit_bradley_terry, partial(fit_davidson)):
        options = {"position": True, "covariates": ["length"]}
        if fit_votes is not fit_bradley_terry:
            alone = replace(alone, outcome_V=np.where(np.arange(len(votes)) % 5 == 0, 0, votes.outcome_V))
        clustered, single = (fit_votes(alone, clusters=names, **options) for names in (["vote"], []))
        assert clustered.covariance_PP == pytest.approx(single.covariance_PP, rel=1e-9, abs=1e-12)


def test_every_answer_given_five_times_over_says_no_more_once_clustered(simulate):
    votes = simulate(3)
    often = Votes(
        votes.items,
        *(np.repeat(column, 5) for column in (votes.left_V, votes.right_V, votes.outcome_V, votes.weight_V)),
        clusters={"vote": np.repeat(np.arange(len(votes)), 5)},
    )
    once, five = fit_bradley_terry(votes, clusters=()), fit_bradley_terry(often)
    assert deviation(five, "a", "b") == pytest.approx(deviation(once, "a", "b"), rel=1e-9)
    naive = fit_bradley_terry(often, clusters=())
    assert deviation(naive, "a", "b") == pytest.approx(deviation(once, "a", "b") / math.sqrt(5), rel=1e-2)


@pytest.mark.parametrize("limit", [DENSE_SCORES, 0])
def test_many_items_a_cluster_and_few_items_a_cluster_give_the_same_sandwich(simulate, monkeypatch, limit):
    """Clusters that fill most of a row are summed dense, others sparse: twenty items and eight straddle the limit."""
    monkeypatch.setattr(sys.modules["penchant.ranking.sandwich"], "DENSE_SCORES", limit)
    votes = simulate(4, num_items=8, num_votes=400, num_prompts=15)
    spread = replace(votes, items=(*votes.items, *"ijklmnopqrstuvwxyz"))
    extra = np.arange(8, 26)
    ring = np.concatenate([[7], extra])
    joined = Votes(
        spread.items,
        np.concatenate([votes.left_V, ring, np.roll(ring, -1)]),
        np.concatenate([votes.right_V, np.roll(ring, -1), ring]),
        np.concatenate([votes.outcome_V, np.ones(38, dtype=int)]),
        np.concatenate([votes.weight_V, np.ones(38)]),
        clusters={"prompt": np.concatenate([votes.clusters["prompt"], 15 + np.arange(38)])},
    )
    fit = fit_bradley_terry(joined)
    expected = slow_sandwich(joined, fit, [(1, joined.clusters["prompt"].tolist())])
    assert fit.covariance_PP == pytest.approx(expected, rel=1e-6, abs=1e-8)
    columns = (joined.left_V, joined.right_V, joined.outcome_V, joined.weight_V)
    twice = np.repeat(np.arange(len(joined)), 2)
    doubled = Votes(joined.items, *(column[twice] for column in columns), clusters={"vote": twice})
    expected = slow_sandwich(doubled, fit_bradley_terry(doubled), [(1, twice.tolist())])
    assert fit_bradley_terry(doubled).covariance_PP == pytest.approx(expected, rel=1e-6, abs=1e-8)
    fine = replace(joined, clusters={"vote": np.arange(len(joined))})
    assert fit_bradley_terry(fine).covariance_PP == pytest.approx(
        fit_bradley_terry(fine, clusters=()).covariance_PP, rel=1e-8, abs=1e-10
    )


@pytest.mark.slow(threads=1)
def test_the_intervals_hold_the_truth_as_often_as_they_say():
    """Three items, abilities 0.8, 0 and -0.8, a thousand tables of 90 votes in clusters of three copies."""
    rng = np.random.default_rng(0)
    covered, naive, num = 0, 0, 400
    for _ in range(num):
        left_U = rng.integers(3, size=120)
        right_U = (left_U + rng.integers(1, 3, size=120)) % 3
        won_U = rng.random(120) < 1 / (1 + np.exp(0.8 * (left_U - right_U)))
        columns = (np.repeat(c, 3) for c in (left_U, right_U, np.where(won_U, 1, -1)))
        votes = Votes(("a", "b", "c"), *columns, np.ones(360), clusters={"unit": np.repeat(np.arange(120), 3)})
        interval, too_narrow = (fit_bradley_terry(votes, clusters=c).difference("a", "c") for c in (["unit"], []))
        covered += interval.low < 1.6 < interval.high
        naive += too_narrow.low < 1.6 < too_narrow.high
    assert 0.92 < covered / num < 0.98
    assert naive / num < 0.85


@pytest.mark.slow(threads=1)
def test_the_clustered_sandwich_and_the_clustered_bootstrap_tell_the_same(simulate):
    votes = simulate(5, num_votes=1500, num_prompts=80)
    fit = fit_bradley_terry(votes, clusters=["prompt"], position=True)
    again = bootstrap(votes, partial(by_model, position=True), clusters=["prompt"], num_resamples=400)
    for a, b in combinations("abcd", 2):
        ours, theirs = fit.difference(a, b), again.difference(a, b)
        assert theirs.estimate == ours.estimate
        assert (theirs.high - theirs.low) / (ours.high - ours.low) == pytest.approx(1.0, abs=0.15)
    ours, theirs = fit.coefficient("position"), again.coefficient("position")
    assert theirs.estimate == ours.estimate
    assert (theirs.high - theirs.low) / (ours.high - ours.low) == pytest.approx(1.0, abs=0.15)


@pytest.mark.slow(threads=1)
def test_the_bootstrap_by_prompt_and_annotator_is_no_narrower_than_by_one(simulate):
    votes = simulate(6, num_votes=1000)
    widths = {}
    for names in ((), ("prompt",), None):
        limits = bootstrap(votes, by_model, clusters=names, num_resamples=300).difference("a", "d")
        widths[names] = limits.high - limits.low
    assert widths[()] < widths[("prompt",)] < widths[None]


def test_the_same_seed_draws_the_same_and_votes_of_weight_zero_are_never_drawn():
    table = Votes.from_counts([("a", "b", 12, 8, 0), ("b", "c", 12, 9, 0)])
    weights = np.ones(len(table))
    weights[:2] = 0
    votes = table.reweighted(weights)
    first, second, other = (bootstrap(votes, by_model, num_resamples=20, seed=seed) for seed in (1, 1, 2))
    assert (first.draws_BP == second.draws_BP).all()
    assert not (first.draws_BP == other.draws_BP).all()
    drawn = []
    bootstrap(votes, lambda v: drawn.append(v.weight_V) or by_model(v), num_resamples=20)
    assert all(weight_V.sum() == len(table) - 2 for weight_V in drawn)
    assert not any(weight_V[:2].any() for weight_V in drawn)


def test_resamples_without_a_finite_fit_are_an_error_not_left_out():
    votes = Votes.from_counts([("a", "b", 6, 1, 0)])
    with pytest.raises(
        DataError, match=r"of 50 resamples have no finite fit.*prior=True.*'b' lost every vote|won every"
    ):
        bootstrap(votes, by_model, num_resamples=50)
    limits = bootstrap(votes, partial(by_model, prior=True), num_resamples=50).difference("a", "b")
    assert limits.low < limits.estimate < limits.high


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"clusters": ["city"]}, "got .'city'."), ({"num_resamples": 1}, "at least two resamples; got 1")],
)
def test_options_of_the_bootstrap_that_nothing_can_be_done_with_are_refused(simulate, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        bootstrap(simulate(0), by_model, **options)


def test_a_confidence_of_percent_is_refused_by_the_bootstrap_too(triangle):
    with pytest.raises(ConfigError, match="between 0 and 1; got 95"):
        bootstrap(triangle, by_model, num_resamples=5).difference("a", "b", confidence=95)


def test_too_few_clusters_are_refused_and_few_are_noted(simulate):
    votes = simulate(7, num_annotators=3, num_prompts=20)
    with pytest.raises(DataError, match=r"as many clusters as parameters \(4\); got 3 of 'annotator'"):
        fit_bradley_terry(votes, clusters=["annotator"])
    assert fit_bradley_terry(votes, clusters=["prompt"]).notes == (
        "20 clusters of 'prompt' are few; the intervals are Student's t, and hold roughly.",
    )
    everything = replace(votes, clusters={"prompt": votes.clusters["prompt"], "day": np.zeros(300, dtype=int)})
    with pytest.raises(DataError, match="at least two clusters; every vote that counts has one day"):
        fit_bradley_terry(everything)


def votes_of_prompts(seed: int, num_prompts: int, num_votes: int):
    """Three items; what a prompt is about adds to each item's ability, so votes on one prompt err together."""
    rng, ability = np.random.default_rng(seed), np.array([0.6, 0.0, -0.6])
    left_V = rng.integers(3, size=num_votes)
    right_V = (left_V + rng.integers(1, 3, size=num_votes)) % 3
    prompt_V = np.arange(num_votes) % num_prompts
    of_prompt = ability + rng.normal(0, 0.7, (num_prompts, 3))
    difference_V = of_prompt[prompt_V, left_V] - of_prompt[prompt_V, right_V]
    outcome_V = np.where(rng.random(num_votes) < 1 / (1 + np.exp(-difference_V)), 1, -1)
    return Votes(tuple("abc"), left_V, right_V, outcome_V, np.ones(num_votes), clusters={"prompt": prompt_V})


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("num_prompts", [10, 20])
def test_intervals_from_few_prompts_hold_the_truth_as_often_as_they_say(num_prompts):
    many = fit_bradley_terry(votes_of_prompts(999_999, 20_000, 200_000), covariance="model")
    truth = {pair: many.difference(*pair).estimate for pair in ("ab", "bc", "ac")}
    hits = 0
    for seed in range(200):
        fit = fit_bradley_terry(votes_of_prompts(seed, num_prompts, 150))
        assert fit.degrees == num_prompts - 1
        for pair, value in truth.items():
            interval = fit.difference(*pair)
            hits += interval.low <= value <= interval.high
    assert 0.93 <= hits / 600 <= 0.98


@pytest.mark.slow(threads=1)
def test_a_bootstrap_of_few_clusters_draws_its_limits_farther_out(simulate):
    votes = simulate(5, num_votes=300, num_prompts=12)
    again = bootstrap(votes, by_model, clusters=["prompt"], num_resamples=400)
    column = again.draws_BP[:, 0]
    tail = norm.cdf(-math.sqrt(12 / 11) * student.ppf(0.975, 11))
    assert tail < 0.012
    limits = again.ability(votes.items[0])
    assert (limits.low, limits.high) == pytest.approx(np.quantile(column, [tail, 1 - tail]).tolist())


def test_a_middle_that_two_ways_of_clustering_made_negative_is_lifted_to_the_least():
    information, least = np.array([[2.0, 0.5], [0.5, 1.0]]), np.diag([0.2, 0.1])
    inverse = np.linalg.inv(information)
    lifted = sandwich(information, np.diag([1.0, -0.5]), least)
    assert np.linalg.eigvalsh(lifted - inverse @ least @ inverse)[0] == pytest.approx(0.0, abs=1e-12)
    positive = np.diag([1.0, 0.5])
    assert sandwich(information, positive, least) == pytest.approx(inverse @ positive @ inverse)
    assert sandwich(information, 0 * positive, information) == pytest.approx(inverse)


def test_an_item_kept_finite_by_phantom_votes_gets_no_less_than_the_models_interval():
    votes = Votes.from_counts([("a", "b", 10, 0, 0), ("b", "c", 6, 4, 0)])
    robust, model = (fit_bradley_terry(votes, prior=True, covariance=kind) for kind in ("sandwich", "model"))
    assert deviation(robust, "a", "b") > 0.999 * deviation(model, "a", "b") > 0.9


def test_few_votes_under_a_strong_prior_leave_the_spread_of_the_prior():
    fit = fit_bradley_terry(Votes.from_counts([("a", "b", 3, 2, 0)]), prior=Gaussian(0.1))
    assert deviation(fit, "a", "b") == pytest.approx(0.1 * math.sqrt(2), rel=0.02)


def test_where_every_vote_is_a_tie_the_sandwich_has_no_width_and_says_so():
    votes = Votes.from_counts([("a", "b", 0, 0, 8)])
    with pytest.raises(DataError, match="'a' and 'b' show no spread"):
        fit_bradley_terry(votes).difference("a", "b")
    interval = by_model(votes).difference("a", "b")
    assert interval.high == -interval.low == pytest.approx(1.959964 / math.sqrt(8 / 4), rel=1e-6)


def test_one_vote_has_no_sandwich():
    votes = Votes.from_counts([("a", "b", 0, 0, 1)])
    with pytest.raises(DataError, match="at least two clusters; every vote that counts has one vote"):
        fit_bradley_terry(votes)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_as_many_votes_more_as_planned_separate_two_neighbours_and_one_fewer_do_not(triangle, confidence):
    fit = by_model(triangle)
    num = fit.votes_to_separate("b", "c", confidence)
    p = fit.win_probability("b", "c").estimate
    for extra, separated in ((num, True), (num - 1, False)):
        columns = [triangle.left_V, triangle.right_V, triangle.outcome_V, triangle.weight_V]
        added = [[1, 1], [2, 2], [1, -1], [extra * p, extra * (1 - p)]]
        more = Votes(triangle.items, *(np.concatenate(pair) for pair in zip(columns, added, strict=True)))
        again = by_model(more)
        assert again.abilities == pytest.approx(fit.abilities)
        assert (again.difference("b", "c", confidence).low > 0) == separated


@pytest.mark.parametrize("fit_votes", [fit_bradley_terry, partial(fit_davidson, covariance="model")])
def test_the_plan_counts_ties_as_they_have_been_and_works_for_davidson(fit_votes):
    unit = ("a", "b", 5, 4, 10)
    fit = fit_votes(Votes.from_counts([unit] * 6))
    num_units = 6 + fit.votes_to_separate("a", "b") / sum(unit[2:])
    for num, separated in ((math.ceil(1.02 * num_units), True), (math.floor(0.98 * num_units), False)):
        assert (fit_votes(Votes.from_counts([unit] * num)).difference("a", "b").low > 0) == separated
    by_half_wins = by_model(Votes.from_counts([unit] * 6)).votes_to_separate("a", "b")
    if fit_votes is fit_bradley_terry:
        assert fit.votes_to_separate("a", "b") < by_half_wins


def test_no_vote_is_missing_between_the_separated_and_no_number_is_enough_for_equals():
    assert by_model(Votes.from_counts([("a", "b", 90, 10, 0)])).votes_to_separate("b", "a") == 0
    assert by_model(Votes.from_counts([("a", "b", 5, 5, 0)])).votes_to_separate("a", "b") == math.inf


def test_newton_shortens_a_step_that_goes_too_far_and_gives_up_aloud():
    def far(x):
        gap = x - 2
        return Likelihood(-float(np.log(np.cosh(gap[0]))), -np.tanh(gap), np.array([[1 / np.cosh(gap[0]) ** 2]]))

    point, _ = maximise(far, 1)
    assert point == pytest.approx([2.0])

    def endless(x):
        return Likelihood(-float(np.exp(-x[0])), np.exp(-x), np.array([[np.exp(-x[0])]]))

    with pytest.raises(DataError, match="can grow for ever"):
        maximise(endless, 1)


def test_the_interval_of_an_ability_is_around_the_mean_of_all(triangle):
    fit = by_model(triangle)
    for item in fit.items:
        others = [fit.difference(item, other).estimate for other in fit.items if other != item]
        assert fit.ability(item).estimate == pytest.approx(sum(others) / 3)
    with pytest.raises(ConfigError, match="no item 'z'; it has a, b, c"):
        fit.ability("z")
    # The variance of a mean of differences, by the covariance that the differences themselves have.
    v = {pair: (deviation(fit, *pair)) ** 2 for pair in (("a", "b"), ("a", "c"), ("b", "c"))}
    expected = (2 * v["a", "b"] + 2 * v["a", "c"] - v["b", "c"]) / 9
    interval = fit.ability("a")
    assert ((interval.high - interval.low) / (2 * 1.959964)) ** 2 == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow(threads=1)
def test_the_bootstrap_tells_abilities_and_missing_votes_as_the_sandwich_does(simulate):
    votes = simulate(8, num_votes=800)
    fit = fit_bradley_terry(votes, clusters=())
    again = bootstrap(votes, by_model, clusters=(), num_resamples=600)
    for item in votes.items:
        ours, theirs = fit.ability(item), again.ability(item)
        assert theirs.estimate == ours.estimate
        assert (theirs.high - theirs.low) / (ours.high - ours.low) == pytest.approx(1.0, abs=0.15)
        column = again.draws_BP[:, votes.items.index(item)]
        tail = norm.cdf(-math.sqrt(800 / 799) * student.ppf(0.975, 799))
        assert (theirs.low, theirs.high) == pytest.approx(np.quantile(column, [tail, 1 - tail]).tolist())
    confidence = 1 - 1e-9  # so that hardly any two are separated
    planned = fit.votes_to_separate("a", "b", confidence)
    assert again.votes_to_separate("a", "b", confidence) == pytest.approx(planned, rel=0.15)
    with pytest.raises(ConfigError, match="no item 'z'"):
        again.ability("z")


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("copies", [1, 4])
def test_half_of_the_plans_that_collect_as_many_votes_as_said_separate_the_two(copies):
    """Votes in clusters of equal answers are worth a fourth of single ones, so the plan asks for four times as many."""
    rng = np.random.default_rng(0)
    start = Votes.from_counts([("a", "b", 60, 48, 0)])
    columns = [np.repeat(column, copies) for column in (start.left_V, start.right_V, start.outcome_V)]
    labels = np.repeat(np.arange(108), copies)
    fit = fit_bradley_terry(Votes(start.items, *columns, np.ones(108 * copies), clusters={"unit": labels}))
    num_units = round(fit.votes_to_separate("a", "b") / copies)
    separated, num_plans = 0, 400
    for _ in range(num_plans):
        won_U = rng.random(num_units) < fit.win_probability("a", "b").estimate
        outcome_V = np.concatenate([columns[2], np.repeat(np.where(won_U, 1, -1), copies)])
        more = np.zeros(num_units * copies, dtype=int)
        votes = Votes(
            start.items,
            np.concatenate([columns[0], more]),
            np.concatenate([columns[1], more + 1]),
            outcome_V,
            np.ones(len(outcome_V)),
            clusters={"unit": np.repeat(np.arange(108 + num_units), copies)},
        )
        separated += fit_bradley_terry(votes).difference("a", "b").low > 0
    assert 0.42 < separated / num_plans < 0.58


def test_labels_of_clusters_may_be_large_and_have_gaps(simulate):
    votes = simulate(9)
    sparse = replace(votes, clusters={name: 7 + 1_000_003 * label_V for name, label_V in votes.clusters.items()})
    for names in (["prompt"], ["annotator"], ["prompt", "annotator"]):
        labels, num = cluster_labels(votes, names)
        gapped, same_num = cluster_labels(sparse, names)
        assert (gapped == labels).all()
        assert num == same_num == len(np.unique(labels)) == labels.max() + 1
    assert (fit_bradley_terry(sparse).covariance_PP == fit_bradley_terry(votes).covariance_PP).all()


def test_votes_missing_are_counted_with_the_covariance_of_the_resamples():
    votes = Votes.from_counts([("a", "b", 30, 25, 0), ("b", "c", 20, 30, 0), ("a", "c", 22, 24, 0)])
    drawn = bootstrap(votes, by_model, num_resamples=40)
    centred = drawn.draws_BP - drawn.draws_BP.mean(0)
    covariance = sum(np.outer(row, row) for row in centred) / (len(centred) - 1)
    expected = replace(drawn.fit, covariance_PP=covariance).votes_to_separate("a", "b")
    assert 0 < drawn.votes_to_separate("a", "b") == pytest.approx(expected)

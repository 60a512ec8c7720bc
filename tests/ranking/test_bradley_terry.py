"""Bradley-Terry: by hand, against slow loops and other libraries, invariances, phantom votes, refusals."""

import math
import re
import sys
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.ranking import Gaussian, PhantomVotes, Votes, fit_bradley_terry

counts = st.integers(1, 6)
tables = st.integers(2, 5).flatmap(
    lambda num: st.tuples(
        *[
            st.tuples(st.just(a), st.just(b), counts, counts, st.integers(0, 3))
            for a, b in combinations("abcde"[:num], 2)
        ]
    )
)


def differences(fit) -> dict[tuple[str, str], float]:
    return {(a, b): fit.difference(a, b).estimate for a, b in combinations(sorted(fit.items), 2)}


def flipped(votes: Votes) -> Votes:
    """The same votes with the sides exchanged."""
    return replace(votes, left_V=votes.right_V, right_V=votes.left_V, outcome_V=-votes.outcome_V)


def assert_at_the_top(log_likelihood, votes, fit, **model):
    """Central differences of the likelihood vanish in every direction."""
    top_P = np.concatenate([fit.ability_I, list(fit.coefficients.values())])
    for direction in np.eye(len(top_P)):
        up, down = (log_likelihood(votes, top_P + h * direction, **model) for h in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx(0.0, abs=1e-6)


def test_two_items_are_the_log_of_the_odds_apart():
    fit = fit_bradley_terry(Votes.from_counts([("a", "b", 6, 2, 2)]))
    assert fit.difference("a", "b").estimate == pytest.approx(math.log(7 / 3), rel=1e-12)
    assert fit.win_probability("a", "b").estimate == pytest.approx(0.7, rel=1e-12)
    assert fit.difference("b", "a").estimate == -fit.difference("a", "b").estimate
    assert fit.ability_I.sum() == pytest.approx(0.0, abs=1e-12)
    assert fit.notes == ()


def test_a_tie_is_half_a_win_for_each_side(triangle):
    ties = Votes.from_counts([("a", "b", 5, 1, 4), ("b", "c", 6, 4, 0), ("c", "a", 2, 8, 0)])
    assert fit_bradley_terry(ties).abilities == pytest.approx(fit_bradley_terry(triangle).abilities)


def test_the_fit_is_at_the_top_of_the_likelihood(simulate, log_likelihood):
    votes = simulate(1, nu=0.8)
    assert_at_the_top(log_likelihood, votes, fit_bradley_terry(votes))
    fit = fit_bradley_terry(votes, position=True, covariates=["length"])
    assert list(fit.coefficients) == ["position", "length"]
    assert_at_the_top(log_likelihood, votes, fit, names=["position", "length"])


def test_the_log_likelihood_is_that_of_a_slow_loop_and_leaves_phantoms_out(simulate, log_likelihood):
    votes = simulate(2, nu=0.5)
    for prior in (False, True):
        fit = fit_bradley_terry(votes, prior=prior)
        assert fit.log_likelihood == pytest.approx(log_likelihood(votes, fit.ability_I), rel=1e-12)


def test_position_and_covariates_recover_what_made_the_votes(simulate):
    votes = simulate(3, num_votes=20_000, num_prompts=5000)
    fit = fit_bradley_terry(votes, position=True, covariates=["length"])
    assert fit.order == ("a", "b", "c", "d")
    for name, true in (("position", 0.3), ("length", 0.4)):
        interval = fit.coefficient(name, confidence=0.999)
        # The favour of prompts is not in the model and shrinks every coefficient by less than a tenth or so.
        assert 0.75 * true < interval.estimate < 1.05 * true
        assert 0 < interval.low < interval.estimate < interval.high


def test_the_unit_of_a_covariate_does_not_change_the_abilities(simulate):
    votes = simulate(4)
    characters = replace(votes, covariates={"length": 1e6 * votes.covariates["length"]})
    fit, other = (fit_bradley_terry(v, covariates=["length"]) for v in (votes, characters))
    assert other.abilities == pytest.approx(fit.abilities)
    assert 1e6 * other.coefficient("length").low == pytest.approx(fit.coefficient("length").low)


def test_the_fit_is_that_of_choix(triangle, simulate):
    choix = pytest.importorskip("choix")
    for votes in (triangle, simulate(5).reweighted(np.ones(300))):
        pairs = [
            (left, right) if outcome == 1 else (right, left)
            for left, right, outcome in zip(votes.left_V, votes.right_V, votes.outcome_V, strict=True)
        ]
        theirs = choix.ilsr_pairwise(len(votes.items), pairs, alpha=0.0, tol=1e-12)
        assert fit_bradley_terry(votes).ability_I == pytest.approx(theirs - theirs.mean(), abs=1e-6)


def test_the_fit_with_ties_weights_and_phantom_votes_is_that_of_evalica(simulate):
    evalica = pytest.importorskip("evalica")
    votes = simulate(6, nu=1.0)
    left = [votes.items[i] for i in votes.left_V] + list(votes.items) * 2
    right = [votes.items[i] for i in votes.right_V] + ["phantom"] * 8
    winner = {1: evalica.Winner.X, 0: evalica.Winner.Draw, -1: evalica.Winner.Y}
    outcomes = [winner[outcome] for outcome in [*votes.outcome_V.tolist(), 1, 1, 1, 1, -1, -1, -1, -1]]
    weights = [*votes.weight_V.tolist()] + [0.5] * 8
    for prior in (False, True):
        num = len(left) if prior else len(votes)
        theirs = evalica.bradley_terry(
            left[:num], right[:num], outcomes[:num], weights=weights[:num], tolerance=1e-14, limit=100_000
        ).scores
        log_strength = np.log([theirs[item] for item in votes.items])
        assert fit_bradley_terry(votes, prior=prior).ability_I == pytest.approx(
            log_strength - log_strength.mean(), abs=1e-6
        )


@settings(max_examples=25, deadline=None)
@given(tables, st.floats(0.1, 10), st.randoms(use_true_random=False))
def test_names_order_sides_and_the_scale_of_weights_change_nothing(table, scale, random):
    votes = Votes.from_counts(table)
    fit = fit_bradley_terry(votes)
    order = list(votes.items)
    random.shuffle(order)
    weighed = votes.reweighted(np.full(len(votes), scale))
    for other in (votes.among(order), flipped(votes), weighed):
        assert differences(fit_bradley_terry(other)) == pytest.approx(differences(fit), abs=1e-8)
        (a, b) = votes.items[:2]
        ours, theirs = fit.difference(a, b), fit_bradley_terry(other).difference(a, b)
        assert theirs.low == pytest.approx(ours.low, abs=1e-7)
    assert fit.ability_I.sum() == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(tables)
def test_each_item_won_as_often_as_the_fit_expects(table):
    votes = Votes.from_counts(table)
    fit = fit_bradley_terry(votes)
    expected = dict.fromkeys(votes.items, 0.0)
    won = dict.fromkeys(votes.items, 0.0)
    for a, b, wins, losses, ties in table:
        p = fit.win_probability(a, b).estimate
        for item, score, share in ((a, wins + ties / 2, p), (b, losses + ties / 2, 1 - p)):
            won[item] += score
            expected[item] += share * (wins + losses + ties)
    assert expected == pytest.approx(won, rel=1e-9)


def test_exchanging_sides_turns_the_position_advantage_around(simulate):
    votes = simulate(7)
    fit, other = (fit_bradley_terry(v, position=True) for v in (votes, flipped(votes)))
    assert other.coefficients["position"] == pytest.approx(-fit.coefficients["position"])
    assert other.abilities == pytest.approx(fit.abilities)


def test_phantom_votes_keep_an_undefeated_item_finite_and_say_so():
    votes = Votes.from_counts([("a", "b", 5, 0, 0)])
    fit = fit_bradley_terry(votes, prior=True)
    t = fit.abilities["a"]
    assert 5 / (1 + math.exp(2 * t)) + 0.5 - 1 / (1 + math.exp(-t)) == pytest.approx(0.0, abs=1e-9)
    assert "half a phantom win" in fit.notes[0]
    assert "keeps these items finite or in place: b" in fit.notes[1]


def test_phantom_votes_draw_abilities_together_and_fade_with_votes(simulate):
    few, many = simulate(8, num_votes=150), simulate(8, num_votes=20_000)
    shrunk, free = fit_bradley_terry(few, prior=True, clusters=()), fit_bradley_terry(few)
    assert shrunk.difference("a", "d").estimate < free.difference("a", "d").estimate
    assert len(shrunk.notes) == 1
    assert fit_bradley_terry(many, prior=True).ability_I == pytest.approx(fit_bradley_terry(many).ability_I, abs=2e-3)


def test_a_normal_prior_is_the_ridge_of_choix(triangle):
    choix = pytest.importorskip("choix")
    pairs = [
        (left, right) if outcome == 1 else (right, left)
        for left, right, outcome in zip(triangle.left_V, triangle.right_V, triangle.outcome_V, strict=True)
    ]
    theirs = choix.opt_pairwise(3, pairs, alpha=0.5, tol=1e-12)
    fit = fit_bradley_terry(triangle, prior=Gaussian(1.0))
    assert fit.ability_I == pytest.approx(theirs - theirs.mean(), abs=1e-6)
    assert fit.notes == ("Abilities are drawn together by a normal prior of standard deviation 1.",)
    assert fit_bradley_terry(triangle, prior=PhantomVotes()).notes == fit_bradley_terry(triangle, prior=True).notes
    with pytest.raises(ConfigError, match="from 1e-6 to 1e6; got -1"):
        Gaussian(-1.0)


def test_groups_that_never_met_are_refused_or_kept_apart_by_phantom_votes_alone():
    votes = Votes.from_counts([("a", "b", 60, 40, 0), ("x", "y", 70, 30, 0)])
    with pytest.raises(DataError, match="'x', 'y' met none of the items"):
        fit_bradley_terry(votes)
    fit = fit_bradley_terry(votes, prior=True)
    assert "compares the 2 groups" in fit.notes[-1]
    within, across = fit.difference("a", "b"), fit.difference("a", "x")
    assert within.high - within.low < 1.5
    assert across.high - across.low > 4  # 2 * 1.96 * sqrt(1 / (2 * 0.25) * 2 groups) and more


@pytest.mark.parametrize(
    ("row", "reason"), [(("a", "z", 3, 0, 0), "'z' lost every"), (("z", "a", 3, 0, 0), "'z' won every")]
)
def test_winless_and_undefeated_items_are_named(row, reason):
    with pytest.raises(DataError, match=reason):
        fit_bradley_terry(Votes.from_counts([("a", "b", 3, 2, 0), row]))


def test_votes_of_weight_zero_do_not_make_an_item_rankable():
    votes = Votes.from_columns(["a", "b"], ["b", "a"], ["left", "left"], weight=[1, 0])
    with pytest.raises(DataError, match="do not rank every item"):
        fit_bradley_terry(votes)


def test_a_side_that_always_wins_is_an_error_not_a_large_number():
    votes = Votes.from_counts([("a", "b", 3, 0, 0), ("b", "a", 3, 0, 0)])
    with pytest.raises(DataError, match="did not converge in 50 steps"):
        fit_bradley_terry(votes, position=True)


def test_coefficients_that_the_votes_do_not_determine_are_refused(simulate):
    votes = simulate(9)
    ability_like = np.array([0.0, 1.0, 5.0, 2.0])
    by_item = replace(votes, covariates={"size": ability_like[votes.left_V] - ability_like[votes.right_V]})
    nothing = replace(votes, covariates={"nothing": np.zeros(len(votes))})
    twin = replace(votes, covariates={"length": votes.covariates["length"], "words": votes.covariates["length"] / 5})
    constant = replace(votes, covariates={"one": np.full(len(votes), 2.0)})
    for odd, names in ((by_item, ["size"]), (twin, ["length", "words"])):
        with pytest.raises(DataError, match=f"coefficients of {', '.join(names)} from the abilities"):
            fit_bradley_terry(odd, covariates=names)
    with pytest.raises(DataError, match="coefficients of position, one"):
        fit_bradley_terry(constant, position=True, covariates=["one"])
    with pytest.raises(DataError, match="'nothing' is 0 in every vote"):
        fit_bradley_terry(nothing, covariates=["nothing"])
    with pytest.raises(DataError, match="coefficients of position from the abilities"):
        fit_bradley_terry(Votes.from_counts([("a", "b", 3, 2, 0)]), position=True)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"covariates": ["width"]}, r"out of \['length'\]; got \['width'\]"),
        ({"covariates": ["length", "length"]}, "different names"),
        ({"clusters": ["city"]}, r"out of \['annotator', 'prompt'\]; got \['city'\]"),
        ({"clusters": ["prompt", "prompt"]}, "different names"),
        ({"covariance": "robust"}, "'sandwich' or 'model'; got 'robust'"),
        ({"covariance": "model", "clusters": ["prompt"]}, "takes no clusters"),
        ({"prior": 0.5}, "True .phantom votes., False or Gaussian.deviation.; got 0.5"),
    ],
)
def test_options_that_nothing_can_be_done_with_are_refused(simulate, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        fit_bradley_terry(simulate(0), **options)


def test_a_fit_answers_only_for_items_and_coefficients_it_has(triangle):
    fit = fit_bradley_terry(triangle)
    for ask, sentence in (
        (lambda: fit.difference("a", "z"), "no item 'z'; it has a, b, c"),
        (lambda: fit.win_probability("a", "a"), "got 'a' twice"),
        (lambda: fit.coefficient("position"), "no coefficient 'position'; it has none"),
        (lambda: fit.difference("a", "b", confidence=1.0), "between 0 and 1; got 1.0"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            ask()


def test_a_hundred_items_in_one_chain_are_fitted():
    names = [f"m{k:03}" for k in range(100)]
    votes = Votes.from_counts([(a, b, 3, 1, 0) for a, b in pairwise(names)])
    fit = fit_bradley_terry(votes)
    assert fit.order == tuple(names)
    assert fit.difference("m000", "m099").estimate == pytest.approx(99 * math.log(3), rel=1e-9)


def test_a_fit_runs_through_the_files_that_its_page_names():
    votes, entered = Votes.from_counts([("a", "b", 2, 1, 0), ("b", "c", 2, 1, 0), ("c", "a", 2, 1, 0)]), set()
    page = (Path(__file__).resolve().parents[2] / "docs" / "ranking.md").read_text(encoding="utf-8")
    section = page.partition("## Follow one fit\n")[2].partition("\n## ")[0]

    def enter(frame, event, _):
        file = Path(frame.f_code.co_filename)
        entered.update({file.name} if event == "call" and file.parent.name == "ranking" else ())

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        fit = fit_bradley_terry(votes)
    finally:
        sys.setprofile(before)
    assert len(entered) == 7
    assert set(re.findall(r"(\w+\.py)`", section)) == entered | {"fit.py"}
    assert type(fit).__module__.endswith(".fit")

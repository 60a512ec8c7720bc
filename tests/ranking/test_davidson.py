"""Davidson's tie model: by hand, against slow loops, and what it shares with Bradley-Terry."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.ranking import Votes, davidson_probabilities, fit_bradley_terry, fit_davidson


@given(st.floats(-20, 20), st.floats(0, 50))
def test_win_tie_and_loss_are_probabilities_in_the_ratio_of_the_paper(difference, nu):
    win, tie, loss = davidson_probabilities(difference, nu)
    assert win + tie + loss == pytest.approx(1.0)
    strength, other = math.exp(difference), 1.0
    assert tie * (strength + other + nu * math.sqrt(strength * other)) == pytest.approx(
        nu * math.sqrt(strength * other)
    )
    assert math.log(win / loss) == pytest.approx(difference, abs=1e-9)
    assert davidson_probabilities(-difference, nu) == pytest.approx((loss, tie, win))


def test_two_items_are_the_log_odds_of_decided_votes_apart():
    fit = fit_davidson(Votes.from_counts([("a", "b", 36, 9, 27)]))
    assert fit.difference("a", "b").estimate == pytest.approx(math.log(4), rel=1e-10)
    assert fit.nu == pytest.approx(27 / math.sqrt(36 * 9), rel=1e-10)
    assert fit.coefficients["log_nu"] == pytest.approx(math.log(fit.nu))
    assert fit.win_probability("a", "b").estimate == pytest.approx(0.8)


def test_the_fit_is_at_the_top_of_the_likelihood_and_beats_its_neighbours(simulate, log_likelihood):
    votes = simulate(1, nu=0.8)
    for names in ([], ["position"], ["position", "length"]):
        fit = fit_davidson(votes, position="position" in names, covariates=names[1:])
        top_P = np.concatenate([fit.ability_I, list(fit.coefficients.values())])
        value = log_likelihood(votes, top_P, names=names, davidson=True)
        assert fit.log_likelihood == pytest.approx(value, rel=1e-12)
        for direction in np.eye(len(top_P)):
            up, down = (log_likelihood(votes, top_P + h * direction, names=names, davidson=True) for h in (1e-5, -1e-5))
            assert (up - down) / 2e-5 == pytest.approx(0.0, abs=1e-6)


def test_the_models_covariance_is_the_inverse_of_the_curvature(simulate, log_likelihood):
    votes = simulate(2, nu=0.8, num_votes=120, num_items=3)
    fit = fit_davidson(votes, covariates=["length"], covariance="model")
    top_P = np.concatenate([fit.ability_I, list(fit.coefficients.values())])
    num, h = len(top_P), 1e-3
    hessian_PP = np.zeros((num, num))
    for i, j in np.ndindex(num, num):
        for up, right in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            moved_P = top_P + h * (up * np.eye(num)[i] + right * np.eye(num)[j])
            value = log_likelihood(votes, moved_P, names=["length"], davidson=True)
            hessian_PP[i, j] += up * right * value / (4 * h * h)
    expected_PP = np.linalg.pinv(-hessian_PP, rcond=1e-6, hermitian=True)
    assert fit.covariance_PP == pytest.approx(expected_PP, rel=1e-3, abs=1e-5)


def test_the_number_of_ties_and_each_items_score_are_what_the_model_expects(simulate):
    votes = simulate(3, nu=1.2)
    fit = fit_davidson(votes)
    ties, scores = 0.0, np.zeros(4)
    for v in range(len(votes)):
        left, right = votes.left_V[v], votes.right_V[v]
        win, tie, loss = davidson_probabilities(fit.ability_I[left] - fit.ability_I[right], fit.nu)
        ties += votes.weight_V[v] * ((votes.outcome_V[v] == 0) - tie)
        scores[left] += votes.weight_V[v] * (votes.score_V[v] - win - tie / 2)
        scores[right] += votes.weight_V[v] * (1 - votes.score_V[v] - loss - tie / 2)
    assert ties == pytest.approx(0.0, abs=1e-8)
    assert scores == pytest.approx(np.zeros(4), abs=1e-8)


def test_the_model_that_made_the_votes_is_recovered(simulate):
    votes = simulate(4, num_votes=20_000, nu=1.0, num_prompts=5000)
    fit = fit_davidson(votes, position=True, covariates=["length"])
    log_nu = fit.coefficient("log_nu", confidence=0.999)
    assert abs(log_nu.estimate) < 0.15
    assert log_nu.low < log_nu.estimate < log_nu.high
    assert fit.order == ("a", "b", "c", "d")


def test_with_ever_fewer_ties_davidson_becomes_bradley_terry():
    table = [("a", "b", 70, 30, 0), ("b", "c", 60, 40, 0), ("c", "a", 20, 80, 0)]
    decided, tied = Votes.from_counts(table), Votes.from_counts([(*row[:4], 1) for row in table])
    rare = tied.reweighted(np.where(tied.outcome_V == 0, 1e-6, 1.0))
    fit = fit_davidson(rare)
    assert fit.nu < 1e-7
    assert fit.abilities == pytest.approx(fit_bradley_terry(decided).abilities, abs=1e-6)


def test_phantom_votes_keep_a_winless_item_finite(simulate):
    votes = Votes.from_counts([("a", "b", 5, 3, 4), ("a", "z", 4, 0, 2)])
    with pytest.raises(DataError, match="did not converge"):
        fit_davidson(Votes.from_counts([("a", "z", 4, 0, 2)]))
    fit = fit_davidson(votes, prior=True)
    assert fit.order == ("a", "b", "z")
    assert np.isfinite(fit.ability_I).all()


@pytest.mark.parametrize(("ties", "which"), [(0, "no vote"), (5, "every vote")])
def test_without_ties_or_with_nothing_else_the_model_is_refused(ties, which):
    wins = 0 if ties else 3
    with pytest.raises(DataError, match=f"{which} is a tie"):
        fit_davidson(Votes.from_counts([("a", "b", wins, wins, ties)]))


def test_a_covariate_cannot_take_the_name_of_the_tie_parameter(simulate):
    votes = simulate(5, nu=1.0)
    with pytest.raises(ConfigError, match="different names"):
        fit_davidson(replace(votes, covariates={"log_nu": votes.covariates["length"]}), covariates=["log_nu"])


def test_ties_of_no_weight_are_no_ties():
    votes = Votes.from_counts([("a", "b", 3, 2, 1)])
    with pytest.raises(DataError, match="no vote is a tie"):
        fit_davidson(votes.reweighted([1, 1, 1, 1, 1, 0]))

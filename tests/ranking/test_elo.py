"""Elo: the scale, the rule, the order, and Bradley-Terry behind it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.ranking import (
    ELO_PER_NAT,
    Votes,
    expected_score,
    fit_bradley_terry,
    log_ability_from_elo,
    online_elo,
    strength,
    to_elo,
)

ratings = st.floats(-3000, 3000)


def test_the_rule_is_k_times_what_was_not_expected():
    votes = Votes.from_columns(["a", "b", "a"], ["b", "a", "c"], ["left", "tie", "right"])
    first = 16.0
    expected_b = 1 / (1 + 10 ** ((1016 - 984) / 400))
    second = 32 * (0.5 - expected_b)
    a = 1000 + first - second
    third = 32 * (0 - 1 / (1 + 10 ** ((1000 - a) / 400)))
    rated = online_elo(votes, k=32)
    assert rated == pytest.approx({"a": a + third, "b": 984 + second, "c": 1000 - third}, rel=1e-14)


def test_the_order_of_the_votes_matters():
    forth = Votes.from_columns(["a", "a"], ["b", "b"], ["left", "right"])
    back = Votes.from_columns(["a", "a"], ["b", "b"], ["right", "left"])
    assert online_elo(forth, k=32)["a"] < 1000 < online_elo(back, k=32)["a"]


def test_the_points_of_all_items_stay_what_they_were(simulate):
    votes = simulate(0).reweighted(np.ones(300))
    assert sum(online_elo(votes, initial=1500.0).values()) == pytest.approx(4 * 1500.0)


def test_weights_and_a_k_that_moves_nothing_are_refused(simulate):
    with pytest.raises(DataError, match="weight 1"):
        online_elo(simulate(0))
    with pytest.raises(ConfigError, match="above 0; got 0"):
        online_elo(simulate(0), k=0)


@given(ratings, ratings)
def test_the_strength_ten_to_the_rating_over_400_turns_elo_into_bradley_terry(a, b):
    assert strength(a) / (strength(a) + strength(b)) == pytest.approx(expected_score(a, b), rel=1e-9)


@given(ratings, ratings)
def test_two_expected_scores_of_a_game_are_one_point(a, b):
    assert expected_score(a, b) + expected_score(b, a) == pytest.approx(1.0)


@given(st.floats(-10, 10))
def test_the_scale_goes_there_and_back(theta):
    assert log_ability_from_elo(to_elo(theta)) == pytest.approx(theta, abs=1e-9)
    assert strength(to_elo(theta, center=0.0)) == pytest.approx(math.exp(theta), rel=1e-9)


def test_a_fit_on_the_elo_scale_predicts_what_the_fit_predicts(triangle):
    fit = fit_bradley_terry(triangle)
    expected = expected_score(fit.elo["a"], fit.elo["c"])
    assert expected == pytest.approx(fit.win_probability("a", "c").estimate, rel=1e-12)
    assert fit.elo["a"] - fit.elo["c"] == pytest.approx(ELO_PER_NAT * fit.difference("a", "c").estimate)


def test_online_elo_with_a_small_k_settles_at_the_abilities_of_bradley_terry():
    """Expected score equals score on average exactly where the likelihood is largest."""
    rng = np.random.default_rng(1)
    counts = Votes.from_counts([("a", "b", 70, 30, 0), ("b", "c", 60, 40, 0), ("a", "c", 75, 25, 0)])
    order = np.concatenate([rng.permutation(len(counts)) for _ in range(150)])
    stream = Votes(
        counts.items, counts.left_V[order], counts.right_V[order], counts.outcome_V[order], np.ones(len(order))
    )
    fit, rated = fit_bradley_terry(counts), online_elo(stream, k=0.25)
    assert [rated[item] for item in "abc"] == pytest.approx([fit.elo[item] for item in "abc"], abs=4)

"""Elo: the online rule in many orders is a loop over games, and what the experiment reports is what happened."""

import math

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.lab import EXPERIMENTS, Games, falling_k, play, ratings_over_games
from penchant.ranking import fit_bradley_terry, online_elo

LONG = pytest.mark.slow(threads=1)  # the experiment takes seconds


def by_loop(games, order, k):
    """R += K (S - E), one game after the other, in Python floats."""
    ratings = [1000.0] * games.num_players
    for n, v in enumerate(order):
        i, j = int(games.left_V[v]), int(games.right_V[v])
        surprise = float(games.score_V[v]) - 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / 400))
        stake = k or 64 / (1 + 2 * n / games.num_players * 64 * math.log(10) / 1600)
        ratings[i] += stake * surprise
        ratings[j] -= stake * surprise
    return ratings


@pytest.mark.parametrize("k", [24.0, None])
def test_orders_side_by_side_are_loops_over_games(k):
    games = play(np.array([1200.0, 1000.0, 900.0]), num_games=60, seed=0)
    orders_OV = np.array([np.random.default_rng(o).permutation(60) for o in range(3)])
    found = ratings_over_games(games, k, orders_OV, [0, 20, 60])
    assert found.shape == (3, 3, 3)
    for order_V, rating_SI in zip(orders_OV, found, strict=True):
        assert rating_SI[0].tolist() == [1000.0] * 3
        assert rating_SI[1] == pytest.approx(by_loop(games, order_V[:20], k), abs=1e-9)
        assert rating_SI[2] == pytest.approx(by_loop(games, order_V, k), abs=1e-9)


def test_players_never_meet_themselves_and_win_as_often_as_their_ratings_say():
    games = play(np.array([1100.0, 1000.0]), num_games=20_000, seed=1)
    assert (games.left_V != games.right_V).all()
    first_won = np.where(games.left_V == 0, games.score_V, 1 - games.score_V).mean()
    assert first_won == pytest.approx(1 / (1 + 10 ** (-100 / 400)), abs=0.01)
    assert games.left_V.mean() == pytest.approx(0.5, abs=0.02)


def test_games_become_votes_in_their_order():
    games = Games(3, np.array([2, 0]), np.array([0, 1]), np.array([0.0, 1.0]))
    assert games.votes.items == ("1", "2", "3")
    assert games.votes.left_V.tolist() == [2, 0]
    assert games.votes.score_V.tolist() == [0.0, 1.0]


def test_a_falling_k_ends_as_a_running_mean_of_games():
    assert falling_k(1e6) * 1e6 == pytest.approx(1600 / math.log(10), rel=1e-4)
    assert falling_k(0, first=10.0) == 10.0


@LONG
def test_elos_formula_is_bradley_terrys_to_rounding(result):
    measured = result("elo").measured
    names = [name for name in measured if name.startswith(("E less", "odds", "d log"))]
    assert len(names) == 4
    assert max(measured[name] for name in names) < 1e-12


@LONG
def test_orders_of_the_same_games_spread_online_ratings_and_not_the_fit(result):
    measured = result("elo").measured
    assert measured["spread over orders, K = 32, points"] > 10
    assert measured["fit of the games in another order less the fit, points"] < 1e-6


@LONG
def test_k_trades_noise_for_speed(result):
    measured = result("elo").measured
    noise = [measured[f"spread over orders, K = {k}, points"] for k in (4, 16, 64)]
    halfway = [measured[f"games until halfway to the fit, K = {k}"] for k in (4, 16, 64)]
    assert noise == sorted(noise)
    assert halfway == sorted(halfway, reverse=True)
    # An own game moves a rating by K slope points a point, so half the way takes ln 2 / (K slope) of them at most.
    assert halfway[2] < 8 / 2 * 3 * math.log(2) * 695 / 64


@LONG
def test_a_falling_k_comes_to_the_fit_with_more_passes(result):
    measured = result("elo").measured
    once = measured["distance from the fit, falling K, points"]
    assert measured["distance from the fit after 8 passes, falling K, points"] < once / 2
    assert once < measured["distance from the fit, K = 4, points"]


@LONG
def test_the_distance_from_the_fit_is_that_of_the_last_figure(result):
    games = play(np.linspace(1200, 800, 8), 4000, seed=0)
    fit = np.array(list(fit_bradley_terry(games.votes).elo.values()))
    online = np.array([list(online_elo(games.votes, k=32.0).values())])
    (line,) = [one for one in result("elo").figures[2].series if one.label == "K = 32"]
    assert line.y[-1] == pytest.approx(result("elo").measured["distance from the fit, K = 32, points"])
    assert line.y[-1] == pytest.approx(np.sqrt(np.square(online - fit).mean()), rel=0.5)


@LONG
def test_the_figure_shows_players_beside_their_true_ratings(result):
    lines = result("elo").figures[0].series
    assert {line.dash for line in lines} == {"online", "true rating"}
    truth = {line.colour: line.y[0] for line in lines if line.dash == "true rating"}
    assert list(truth.values()) == pytest.approx(sorted(truth.values(), reverse=True))
    for line in lines:
        if line.dash == "online":
            late = np.mean(line.y[len(line.y) // 2 :])
            assert abs(late - truth[line.colour]) < 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_claim_does_not_hang_on_the_seed(seed):
    found = EXPERIMENTS["elo"](seed=seed, num_games=2000)
    assert [part for part, held in found.checks.items() if not held] == []


@pytest.mark.parametrize(
    "options", [{"num_players": 3}, {"num_games": 799}, {"k": 0.0}, {"k": math.inf}, {"k": math.nan}]
)
def test_an_option_out_of_range_is_refused_by_name(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        EXPERIMENTS["elo"](**options)


def test_a_k_too_small_to_come_half_the_way_takes_all_games():
    measured = EXPERIMENTS["elo"](num_players=4, num_games=400, k=0.01).measured
    assert measured["games until halfway to the fit, K = 0.01"] == 400

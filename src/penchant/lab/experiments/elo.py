"""Elo: Bradley-Terry on a scale of 400 points for odds of ten, and its online rule compared with maximum likelihood.

Shapes: I players, V games, O orders of the same games, S snapshots.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F

from penchant.lab.games import START, FloatArray, Games, IntArray, play, ratings_over_games
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.world import bradley_terry
from penchant.ranking import (
    ELO_PER_NAT,
    expected_score,
    fit_bradley_terry,
    log_ability_from_elo,
    online_elo,
    strength,
)

__all__ = ["elo"]

CLAIM = (
    "Elo's expected score is Bradley-Terry with s = 10^(R / 400), and a game moves ratings along the gradient of its "
    "log-likelihood: a constant K ends where the order of the games leaves it, a falling K at the Bradley-Terry fit."
)
KS = (4.0, 16.0, 64.0)
SPREAD = 200.0  # true ratings are evenly spaced within this distance of 1000
NUM_ORDERS = 24
NUM_PASSES = 8
SHOWN = 4


def elo(seed: int = 0, num_players: int = 8, num_games: int = 4000, k: float = 32.0) -> Result:
    """Simulate games; rate the players online, in many orders of the same games, and by maximum likelihood.

    Args:
        seed: of the games and of the orders.
        num_players: at least 4; their true ratings are evenly spaced between 800 and 1200.
        num_games: at least 100 per player.
        k: of the ratings in the first two figures, > 0.

    Returns:
        The Result. Figures: ratings over games, final ratings for different orders of the games, and the distance from
        the fit over games for several K.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["elo"](num_players=4, num_games=1000).held
        True

    Reference:
        A. E. Elo, The Rating of Chessplayers, Past and Present, 1978. R. A. Bradley and M. E. Terry, Rank Analysis of
        Incomplete Block Designs, Biometrika 39, 1952.
    """
    require("num_players", num_players, num_players >= SHOWN, f"at least {SHOWN}")
    require("num_games", num_games, num_games >= 100 * num_players, f"at least {100 * num_players}, 100 a player")
    require("k", k, 0.01 <= k <= 1e6, "from 0.01 to a million")
    require("seed", seed, seed >= 0, "at least 0")
    truth_I = np.linspace(START + SPREAD, START - SPREAD, num_players)
    study = _Study(truth_I, play(truth_I, num_games, seed), seed)
    runs = {_name(value): study.run(value) for value in (*sorted({*KS, k}), None)}
    noise = {name: float(run_OSI[:, -1].std(axis=0).mean()) for name, run_OSI in runs.items()}
    halfway = {name: study.games_to_halve(run_OSI) for name, run_OSI in runs.items()}
    distance = {name: study.distances(run_OSI)[-1] for name, run_OSI in runs.items()}
    falling, constant = study.passes(None), study.passes(k)

    identities = _identities(truth_I)
    measured = {
        **identities,
        "online rule less that of penchant.ranking, points": study.oracle_gap(k),
        "fit of the games in another order less the fit, points": study.fit_gap(),
        "fit less true ratings, points": _rms(study.fit_I - truth_I),
        **{f"spread over orders, {name}, points": value for name, value in noise.items()},
        **{f"games until halfway to the fit, {name}": value for name, value in halfway.items()},
        **{f"distance from the fit, {name}, points": value for name, value in distance.items()},
        f"distance from the fit after {NUM_PASSES} passes, falling K, points": falling[-1],
        f"distance from the fit after {NUM_PASSES} passes, {_name(k)}, points": constant[-1],
    }
    slow, medium, fast = (_name(value) for value in KS)
    checks = {
        "Elo is Bradley-Terry, and its step the gradient, to 1e-12": max(identities.values()) < 1e-12,
        "the online rule is that of penchant.ranking": study.oracle_gap(k) < 1e-9,
        "the order of the games moves the ratings": noise[_name(k)] > 1,
        "the order of the games does not move the fit": study.fit_gap() < 1e-6,
        "the larger K, the more noise": noise[slow] < noise[medium] < noise[fast],
        "the larger K, the sooner half the way is done": halfway[slow] > halfway[medium] > halfway[fast],
        "a falling K ends nearer to the fit than any constant K": min(distance, key=lambda n: distance[n])
        == _name(None),
        "more passes over the games take a falling K to the fit": falling[-1] < falling[0] / 2,
        f"they do not take {_name(k)} there": constant[-1] > constant[0] / 2,
    }
    options = {"seed": seed, "num_players": num_players, "num_games": num_games, "k": k}
    return Result("elo", CLAIM, checks, measured, study.figures(runs, k), options)


def _name(k: float | None) -> str:
    return "falling K" if k is None else f"K = {k:g}"


def _rms(points: FloatArray) -> float:
    return float(np.sqrt(np.square(points).mean()))


def _identities(rating_I: FloatArray) -> dict[str, float]:
    """Elo's formula, Bradley-Terry's in strengths and in log-strengths, and the gradient of a game's log-likelihood."""
    strength_I = strength(rating_I)
    elo_II = expected_score(rating_I[:, None], rating_I[None, :])
    sigmoid_II = bradley_terry(torch.from_numpy(log_ability_from_elo(rating_I))[None])[0].numpy()
    point_I = torch.from_numpy(rating_I).requires_grad_()
    won = F.logsigmoid((point_I[0] - point_I[1]) / ELO_PER_NAT)
    (gradient_I,) = torch.autograd.grad(won, point_I)
    surprise = float(1 - elo_II[0, 1])
    return {
        "E less s_i / (s_i + s_j), s = 10^(R / 400)": float(
            np.abs(elo_II - strength_I[:, None] / (strength_I[:, None] + strength_I[None, :])).max()
        ),
        "E less sigmoid(r_i - r_j), r = R ln 10 / 400": float(np.abs(elo_II - sigmoid_II).max()),
        "odds at 400 points, relative to 10": abs(expected_score(400.0, 0.0) / expected_score(0.0, 400.0) / 10 - 1),
        "d log-likelihood / dR less (S - E) ln 10 / 400": abs(gradient_I[0].item() - surprise / ELO_PER_NAT),
    }


@dataclass(frozen=True)
class _Study:
    """One set of games, rated by all methods; distances are root mean squares over orders and players."""

    truth_I: FloatArray
    games: Games
    seed: int

    @cached_property
    def fit_I(self) -> FloatArray:
        return self._fit(np.arange(self.num_games))

    @property
    def num_games(self) -> int:
        return len(self.games.score_V)

    @property
    def snapshots(self) -> list[int]:
        """About forty, evenly spaced on a logarithmic axis."""
        return sorted({0, *np.geomspace(8, self.num_games, 40).round().astype(int).tolist()})

    def _fit(self, order_V: IntArray) -> FloatArray:
        games = self.games.in_order(order_V)
        return np.array(list(fit_bradley_terry(games.votes, covariance="model").elo.values()))

    def fit_gap(self) -> float:
        return float(np.abs(self._fit(self._orders(1)[0]) - self.fit_I).max())

    def _orders(self, num_passes: int) -> IntArray:
        """Each row is one order, or several concatenated; shape (O, V * passes)."""
        random = np.random.default_rng(self.seed + 1)
        passes = [[random.permutation(self.num_games) for _ in range(num_passes)] for _ in range(NUM_ORDERS)]
        return np.array(passes).reshape(NUM_ORDERS, -1)

    def run(self, k: float | None) -> FloatArray:
        return ratings_over_games(self.games, k, self._orders(1), self.snapshots)

    def passes(self, k: float | None) -> list[float]:
        """Distance from the fit after every pass over the games, each in a new order."""
        ends = [self.num_games * (i + 1) for i in range(NUM_PASSES)]
        return self.distances(ratings_over_games(self.games, k, self._orders(NUM_PASSES), ends))

    def oracle_gap(self, k: float) -> float:
        order_OV = np.arange(self.num_games)[None]
        mine_I = ratings_over_games(self.games, k, order_OV, [self.num_games])[0, 0]
        return float(np.abs(mine_I - np.array(list(online_elo(self.games.votes, k=k, initial=START).values()))).max())

    def distances(self, run_OSI: FloatArray) -> list[float]:
        return [_rms(run_OSI[:, s] - self.fit_I) for s in range(run_OSI.shape[1])]

    def games_to_halve(self, run_OSI: FloatArray) -> float:
        """The number of games that halve the mean distance over orders, which averages out noise."""
        left_S = np.array([_rms(mean_I - self.fit_I) for mean_I in run_OSI.mean(axis=0)])
        done = [games for games, left in zip(self.snapshots, left_S, strict=True) if left <= left_S[0] / 2]
        return float(min(done, default=self.num_games))

    def figures(self, runs: Mapping[str, FloatArray], k: float) -> tuple[Figure, Figure, Figure]:
        return self._over_games(k), self._where_orders_end(runs, k), self._distances_over_games(runs)

    def _over_games(self, k: float) -> Figure:
        every = list(range(0, self.num_games + 1, max(self.num_games // 250, 1)))
        rating_SI = ratings_over_games(self.games, k, np.arange(self.num_games)[None], every)[0]
        shown = np.linspace(0, len(self.truth_I) - 1, SHOWN).round().astype(int).tolist()
        lines = []
        for i in shown:
            player, truth = f"player {i + 1}", float(self.truth_I[i])
            lines.append(Series.of(f"{player}, online", every, rating_SI[:, i].tolist(), colour=player, dash="online"))
            lines.append(Series.of(f"{player}, true", [0, every[-1]], [truth] * 2, colour=player, dash="true rating"))
        title = f"Online Elo finds the ratings, and with {_name(k)} never comes to rest"
        return Figure(title, "games", "rating, Elo points", tuple(lines))

    def _where_orders_end(self, runs: Mapping[str, FloatArray], k: float) -> Figure:
        """Final ratings minus the fit, so that players of every rating are comparable."""
        names = (_name(k), _name(None))
        fit = np.tile(self.fit_I, NUM_ORDERS).tolist()
        dots = [Series.of(name, fit, (runs[name][:, -1] - self.fit_I).ravel().tolist(), points=True) for name in names]
        title = f"The same games in {NUM_ORDERS} orders: {_name(k)} ends elsewhere each time, a falling K near the fit"
        return Figure(title, "Bradley-Terry fit, Elo points", "online rating less the fit, points", tuple(dots))

    def _distances_over_games(self, runs: Mapping[str, FloatArray]) -> Figure:
        lines = [Series.of(n, self.snapshots, self.distances(run_OSI)) for n, run_OSI in runs.items()]
        title = "A larger K is sooner near the fit and noisier there; a falling K has the best of both"
        y_label = "distance from the fit, points"
        return Figure(title, "games", y_label, tuple(lines), x_scale="log", y_scale="log")

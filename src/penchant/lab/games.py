"""Games between players of known rating, and Elo's online rule over many orders of them at once.

Shapes: I players, V games, O orders of the same games, S snapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penchant.ranking import ELO_PER_NAT, Votes, expected_score

__all__ = ["FloatArray", "Games", "IntArray", "falling_k", "play", "ratings_over_games"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

START = 1000.0
"""Rating of every player before the first game."""


@dataclass(frozen=True, eq=False)
class Games:
    """V games between I players.

    Args:
        num_players: I.
        left_V: index of one player.
        right_V: index of the other.
        score_V: 1 if left won, else 0.
    """

    num_players: int
    left_V: IntArray
    right_V: IntArray
    score_V: FloatArray

    @property
    def votes(self) -> Votes:
        """The games as votes; players are named "1" to "I", and all must have played."""
        names = [str(i + 1) for i in range(self.num_players)]
        outcomes = np.where(self.score_V == 1, "left", "right").tolist()
        votes = Votes.from_columns([names[i] for i in self.left_V], [names[i] for i in self.right_V], outcomes)
        return votes.among(names)

    def in_order(self, order_V: IntArray) -> Games:
        """The same games, in another order."""
        return Games(self.num_players, self.left_V[order_V], self.right_V[order_V], self.score_V[order_V])


def play(rating_I: FloatArray, num_games: int, seed: int) -> Games:
    """Simulate games between uniformly drawn pairs, with the ratings' win probabilities.

    Args:
        rating_I: true ratings, Elo points, at least two.
        num_games: V.
        seed: of the pairs and of the outcomes.

    Returns:
        The Games.

    Example:
        >>> import numpy as np
        >>> from penchant.lab.games import play
        >>> games = play(np.array([9000.0, 1000.0]), num_games=5, seed=0)
        >>> ((games.left_V == 0) == (games.score_V == 1)).all().item()  # the first always wins
        True
    """
    random, num_players = np.random.default_rng(seed), len(rating_I)
    left_V = random.integers(num_players, size=num_games)
    right_V = (left_V + random.integers(1, num_players, size=num_games)) % num_players
    won_V = random.random(num_games) < expected_score(rating_I[left_V], rating_I[right_V])
    return Games(num_players, left_V, right_V, won_V.astype(np.float64))


def falling_k(num_played: float, first: float = 64.0) -> float:
    """K = first / (1 + n first / 695): the K of players with n games each.

    695 = 4 * 400 / ln 10 is the inverse of the steepest slope of the expected score, so K = 695 / n is the step of a
    running mean, which weights all games equally; `first` bounds the first steps.

    Args:
        num_played: n, at least 0.
        first: K of the first game, > 0.

    Returns:
        K, in Elo points.

    Example:
        >>> from penchant.lab.games import falling_k
        >>> [round(falling_k(n), 2) for n in (0, 10, 1000)]
        [64.0, 33.32, 0.69]

    Reference:
        Robbins and Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22, 1951.
    """
    return first / (1 + num_played * first / (4 * ELO_PER_NAT))


def ratings_over_games(games: Games, k: float | None, orders_OV: IntArray, snapshots: Sequence[int]) -> FloatArray:
    """Elo's online rule, R += K (S - E) for both players of a game, in several orders at once.

    Args:
        games: the games.
        k: K > 0; None: `falling_k` of the mean number of games per player so far.
        orders_OV: indices of games in order; an order may go through the games more than once.
        snapshots: numbers of games after which to record, ascending from 0 or more.

    Returns:
        Array of shape (O, S, I).

    Example:
        >>> import numpy as np
        >>> from penchant.lab.games import Games, ratings_over_games
        >>> won = Games(2, np.array([0]), np.array([1]), np.array([1.0]))
        >>> ratings_over_games(won, k=32.0, orders_OV=np.array([[0]]), snapshots=[0, 1]).tolist()
        [[[1000.0, 1000.0], [1016.0, 984.0]]]

    Reference:
        A. E. Elo, The Rating of Chessplayers, Past and Present, 1978.
    """
    row_O = np.arange(len(orders_OV))
    rating_OI = np.full((len(row_O), games.num_players), START)
    found: list[FloatArray] = []
    for begin, end in zip([0, *snapshots], snapshots, strict=False):
        for v, game_O in enumerate(orders_OV[:, begin:end].T, start=begin):
            stake = falling_k(2 * v / games.num_players) if k is None else k
            left_O, right_O = games.left_V[game_O], games.right_V[game_O]
            surprise_O = games.score_V[game_O] - expected_score(rating_OI[row_O, left_O], rating_OI[row_O, right_O])
            rating_OI[row_O, left_O] += stake * surprise_O
            rating_OI[row_O, right_O] -= stake * surprise_O
        found.append(rating_OI.copy())
    return np.stack(found, axis=1)

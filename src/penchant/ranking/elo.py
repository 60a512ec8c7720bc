"""Elo: the scale on which abilities are shown, and the online rule, whose result depends on the order of votes."""

import math
from typing import TypeVar

from penchant.errors import ConfigError, DataError
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["ELO_PER_NAT", "expected_score", "log_ability_from_elo", "online_elo", "strength", "to_elo"]

Number = TypeVar("Number", float, FloatArray)

ELO_PER_NAT = 400 / math.log(10)
"""Elo points in one natural-log unit of ability, 173.72: an ability difference times this is an Elo difference."""


def to_elo(log_ability: Number, center: float = 1000.0) -> Number:
    """R = center + 400 / ln 10 * theta.

    Args:
        log_ability: theta, natural-log units, any shape.
        center: rating of theta = 0.

    Example:
        >>> round(to_elo(math.log(10)), 6)  # ten times the odds are 400 points
        1400.0
    """
    return center + ELO_PER_NAT * log_ability


def log_ability_from_elo(rating: Number, center: float = 1000.0) -> Number:
    """theta = (R - center) * ln 10 / 400, the inverse of `to_elo`.

    Example:
        >>> log_ability_from_elo(1000.0)
        0.0
    """
    return (rating - center) / ELO_PER_NAT


def strength(rating: Number) -> Number:
    """S = 10^(R / 400), the strength in Bradley-Terry's P(a beats b) = S_a / (S_a + S_b).

    With this S, Bradley-Terry's probability is Elo's expected score: dividing both by S_a gives
    1 / (1 + 10^((R_b - R_a) / 400)). And S = e^theta up to one factor common to all items, where R = `to_elo`(theta).

    Example:
        >>> a, b = strength(1200.0), strength(1000.0)
        >>> round(a / (a + b), 12) == round(expected_score(1200.0, 1000.0), 12)
        True

    Reference:
        R. A. Bradley and M. E. Terry, Rank Analysis of Incomplete Block Designs, Biometrika 39, 1952.
    """
    return 10 ** (rating / 400)


def expected_score(rating: Number, opponent: Number) -> Number:
    """E = 1 / (1 + 10^((R_opponent - R) / 400)): wins plus half the ties, per game.

    Example:
        >>> round(expected_score(1400.0, 1000.0), 4)
        0.9091

    Reference:
        A. E. Elo, The Rating of Chessplayers, Past and Present, 1978, with the logistic curve in place of the normal.
    """
    return 1 / (1 + 10 ** ((opponent - rating) / 400))


def online_elo(votes: Votes, *, k: float = 4.0, initial: float = 1000.0) -> dict[str, float]:
    """Ratings after one pass over the votes in order: R += K (S - E), for both sides at once.

    The rule forgets: the effect of a vote on a rating decays by a factor e in 695 / K even games of that item (174 with
    K = 4), and the same votes in another order give other ratings. It suits items that change. For fixed items, use
    `fit_bradley_terry`. Clusters and covariates are not used.

    Args:
        votes: V votes, every weight 1.
        k: K, the points at stake, > 0; chess uses 10 to 40, arenas of models 4.
        initial: rating of every item before the first vote.

    Returns:
        Rating of each item, in the order of `votes.items`. Their sum is unchanged.

    Raises:
        ConfigError: k is not positive.
        DataError: a weight other than 1, which the rule cannot use.

    Example:
        >>> from penchant.ranking import Votes
        >>> online_elo(Votes.from_columns(["a"], ["b"], ["left"]), k=32)
        {'a': 1016.0, 'b': 984.0}

    Reference:
        A. E. Elo, The Rating of Chessplayers, Past and Present, 1978.
    """
    if not k > 0:
        raise ConfigError(f"K must be above 0; got {k}.")
    if (votes.weight_V != 1).any():
        raise DataError("Online Elo takes votes of weight 1, but some have other weights; leave out `elo=True`.")
    ratings = [float(initial)] * len(votes.items)
    columns = (votes.left_V.tolist(), votes.right_V.tolist(), votes.score_V.tolist())
    for left, right, score in zip(*columns, strict=True):
        change = k * (score - expected_score(ratings[left], ratings[right]))
        ratings[left] += change
        ratings[right] -= change
    return dict(zip(votes.items, ratings, strict=True))

"""One group of connected items as a table: ratings with intervals, and the votes that would separate neighbours.

Shapes: V votes, I items.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.special import expit

from penchant.errors import DataError
from penchant.ranking.bootstrap import Bootstrap, bootstrap
from penchant.ranking.connectivity import Unrankable, strong_components, unrankable
from penchant.ranking.design import total
from penchant.ranking.elo import ELO_PER_NAT, to_elo
from penchant.ranking.fit import Fit
from penchant.ranking.method import Method
from penchant.ranking.votes import IntArray, Votes

__all__ = ["Group", "Neighbours", "Standing", "rank_group"]


@dataclass(frozen=True)
class Standing:
    """One item: its Elo rating around 1000 with limits, win probability against the average item, and votes.

    by_prior: its votes alone would put it infinitely high or low, or leave it undetermined.
    """

    rank: int
    item: str
    rating: float
    low: float
    high: float
    win_probability: float
    wins: int
    losses: int
    ties: int
    both_bad: int
    by_prior: bool

    @property
    def votes(self) -> int:
        """Wins, losses and ties."""
        return self.wins + self.losses + self.ties


@dataclass(frozen=True)
class Neighbours:
    """Two adjacent items: their difference in Elo points with limits, and the votes still missing.

    votes_missing: votes between these two that would separate them if the difference is as estimated; 0 if they are
    separated, None if the estimates are equal and no number is enough.
    """

    better: str
    worse: str
    difference: float
    low: float
    high: float
    votes_missing: int | None


@dataclass(frozen=True)
class Group:
    """Items that votes connect.

    standings: best first. neighbours: every two adjacent items. problems: items without a finite ability from the votes
    alone, and why; with a prior they have one, without it they are unranked. clusters: the kinds of clusters used.
    nu: Davidson's tie parameter, 0 in Bradley-Terry's model. notes: caveats in sentences.
    """

    standings: tuple[Standing, ...]
    neighbours: tuple[Neighbours, ...]
    problems: tuple[Unrankable, ...]
    unranked: tuple[str, ...]
    clusters: tuple[str, ...]
    nu: float
    notes: tuple[str, ...]


def rank_group(votes: Votes, method: Method, both_bad: Mapping[str, int]) -> Group:
    """Rank items that votes connect.

    With prior "none", only the largest strongly connected group of items is ranked.

    Args:
        votes: of one connected group.
        method: the options of the ranking.
        both_bad: the number of both_bad answers on each item.

    Raises:
        DataError: the fit is not finite, or the requested clusters are too few.
        ConfigError: the votes do not have the requested clusters.

    Example:
        >>> votes = Votes.from_counts([("a", "b", 75, 25, 0)])
        >>> group = rank_group(votes, Method(), {})
        >>> [(s.rank, s.item, round(s.rating), round(s.win_probability, 2)) for s in group.standings]
        [(1, 'a', 1095, 0.63), (2, 'b', 905, 0.37)]
    """
    problems = tuple(unrankable(votes))
    prior = method.prior_for(rankable=not problems)
    adrift = {item for problem in problems for item in problem.items}
    unranked: tuple[str, ...] = ()
    if prior is None and problems:
        largest = strong_components(votes)[0]
        unranked = tuple(item for item in votes.items if item not in largest)
        if len(largest) == 1:
            return Group((), (), problems, votes.items, (), 0.0, ())
        votes, adrift = votes.among(largest), set()
    fit_votes, num_parameters, notes = method.model_for(votes, prior)
    clusters, why = method.clusters_for(votes, num_parameters)
    fit, source, more = _fit(votes, fit_votes, clusters, method)
    standings = _standings(fit, source, _counts(votes), both_bad, adrift, method.level)
    neighbours = _neighbours(fit.order, source, method.level)
    return Group(standings, neighbours, problems, unranked, clusters, fit.nu, (*notes, *fit.notes, *why, *more))


def _fit(
    votes: Votes, fit_votes: partial[Fit], clusters: tuple[str, ...], method: Method
) -> tuple[Fit, Fit | Bootstrap, list[str]]:
    """The fit, the source of its intervals, and a note if the votes show no variance for them."""
    by_model = partial(fit_votes, covariance="model")
    if len(votes) > 1:
        fit = fit_votes(votes, clusters=clusters)
        if _has_spread(fit):
            if method.intervals == "sandwich":
                return fit, fit, []
            drawn = bootstrap(votes, by_model, clusters=clusters, num_resamples=method.num_bootstrap, seed=method.seed)
            return fit, drawn, []
    fit = by_model(votes)
    return fit, fit, ["The votes show no spread of their own, so the intervals take the model to be exactly true."]


def _has_spread(fit: Fit) -> bool:
    try:
        for better, worse in pairwise(fit.order):
            fit.difference(better, worse)
    except DataError:
        return False
    return True


def _counts(votes: Votes) -> IntArray:
    """Wins, losses and ties of each item, shape (I, 3)."""
    num = len(votes.items)
    sides = ((votes.left_V, votes.outcome_V), (votes.right_V, -votes.outcome_V))
    columns = [
        sum(total(item_V, (sign_V == sign).astype(np.float64), num) for item_V, sign_V in sides) for sign in (1, -1, 0)
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def _standings(
    fit: Fit,
    source: Fit | Bootstrap,
    count_I3: IntArray,
    both_bad: Mapping[str, int],
    adrift: set[str],
    level: float,
) -> tuple[Standing, ...]:
    abilities = np.sort(fit.ability_I)
    found = []
    for item in fit.order:
        i = fit.items.index(item)
        interval = source.ability(item, level)
        rank = 1 + len(abilities) - int(np.searchsorted(abilities, fit.ability_I[i] + 1e-9))
        wins, losses, ties = count_I3[i].tolist()
        rating, low, high = (to_elo(value) for value in (interval.estimate, interval.low, interval.high))
        chance = float(expit(interval.estimate))
        tally = (wins, losses, ties, both_bad.get(item, 0))
        found.append(Standing(rank, item, rating, low, high, chance, *tally, by_prior=item in adrift))
    return tuple(found)


def _neighbours(order: tuple[str, ...], source: Fit | Bootstrap, level: float) -> tuple[Neighbours, ...]:
    found = []
    for better, worse in pairwise(order):
        interval = source.difference(better, worse, level)
        missing: int | None = 0
        if interval.low <= 0:
            num = source.votes_to_separate(better, worse, level)
            missing = None if math.isinf(num) or interval.estimate < 1e-9 else max(int(num), 1)
        points, low, high = (ELO_PER_NAT * value for value in (interval.estimate, interval.low, interval.high))
        found.append(Neighbours(better, worse, points, low, high, missing))
    return tuple(found)

"""HodgeRank: how much of what people decided fits one order, and whether any of it runs in circles.

Shapes: I items; matrices (I, I) hold log-odds that the row item beats the column item; N triples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc
from scipy.stats import chi2

from penchant.ranking.design import total
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Cycle", "HodgeRank", "hodge_rank"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Cycle:
    """Three items each of which a majority prefers to the next, and the last to the first.

    curl: sum of the log-odds around the cycle. z: how far the three log-odds are from the nearest that one order
    allows, in standard errors.
    """

    items: tuple[str, str, str]
    curl: float
    z: float


@dataclass(frozen=True, eq=False)
class HodgeRank:
    """Decided votes split into one order (gradient) and the rest (residual), which is orthogonal to it.

    Attributes:
        items: I names.
        score_I: the potential, log-odds, mean zero within each group of connected items.
        flow_II: log-odds of row over column; 0 where nothing was decided between two items.
        residual_II: flow minus differences of scores, where something was decided between two items.
        cyclic_share: weighted squares of the residual over those of the flow: 0 one order explains everything, 1 none.
        p_value: at most how often votes of one order show a circle as sure as the surest here, if votes are
            independent; 1 where no majorities form a circle, None where no closed path of pairs was decided.
        cycles: three-item cycles, the surest first.
    """

    items: tuple[str, ...]
    score_I: FloatArray
    flow_II: FloatArray
    residual_II: FloatArray
    cyclic_share: float
    p_value: float | None
    cycles: tuple[Cycle, ...]


def hodge_rank(votes: Votes, *, num_cycles: int = 10) -> HodgeRank:
    """Weighted least squares: minimise over s the sum over pairs of w_ij (y_ij - (s_i - s_j))^2, and test for circles.

    y_ij = log((a + 1/2) / (b + 1/2)), a and b the wins of i and of j, is finite also where one side won everything;
    w_ij = 1 / (1 / (a + 1/2) + 1 / (b + 1/2)) is one over its variance. Ties are left out: given that one of two wins,
    Davidson's model with any number of ties is Bradley-Terry's, and its log-odds add up, where those of scores with
    half a win for a tie do not. A pair that met as left and right and as right and left is one pair, so a position
    advantage cancels only if sides were balanced.

    The residual is cycles and noise, and also whatever log-odds do not add up: where everybody always prefers the
    better of any two, log-odds are equally large for near and for far items, the share is up to 1/3, and there is no
    cycle. So the test is one of its own: `p_value` supposes only that there is one order, in which whoever is farther
    apart is at least as surely told apart (strong stochastic transitivity). Bradley-Terry's model is such an order,
    Davidson's and Thurstone's are, and so are votes in which the better always wins. The statistic is the greatest z^2
    of all cycles; under one order it exceeds x in one triple with a probability of at most
    P(chi2_1 > x) / 8 + P(chi2_2 > x) / 2 + P(chi2_3 > x) / 8, whatever the probabilities are, and in some triple with
    at most so much times the number of triples. Where not all pairs met, longer circles are looked for as well, by the
    sign test of their least sure pair; each of the two tests then has half the error.

    Args:
        votes: V votes.
        num_cycles: greatest length of the list of cycles.

    Example:
        >>> from penchant.ranking import Votes, hodge_rank
        >>> rows = [("rock", "scissors", 9, 1, 5), ("scissors", "paper", 9, 1, 5), ("paper", "rock", 9, 1, 5)]
        >>> split = hodge_rank(Votes.from_counts(rows))
        >>> round(split.cyclic_share, 6), split.cycles[0].items, round(split.p_value, 4)
        (1.0, ('rock', 'scissors', 'paper'), 0.0104)

    Reference:
        X. Jiang, L.-H. Lim, Y. Yao and Y. Ye, Statistical Ranking and Combinatorial Hodge Theory, Mathematical
        Programming 127, 2011. The halves in the log-odds: J. B. S. Haldane, Annals of Human Genetics 20, 1956, and
        F. J. Anscombe, Biometrika 43, 1956. Tests against cones of alternatives: T. Robertson, F. T. Wright and
        R. L. Dykstra, Order Restricted Statistical Inference, 1988.
    """
    wins_II = _wins(votes)
    met_II = (wins_II + wins_II.T) > 0
    flow_II = np.log(wins_II + 0.5) - np.log(wins_II.T + 0.5)
    variance_II = 1 / (wins_II + 0.5) + 1 / (wins_II.T + 0.5)
    weight_II = np.where(met_II, 1 / variance_II, 0.0)
    laplacian_II = np.diag(weight_II.sum(axis=1)) - weight_II
    score_I = np.linalg.pinv(laplacian_II, hermitian=True) @ (weight_II * flow_II).sum(axis=1)
    residual_II = np.where(met_II, flow_II - (score_I[:, None] - score_I[None]), 0.0)
    left_over, whole = (float((weight_II * part_II**2).sum() / 2) for part_II in (residual_II, flow_II))
    cycles = _majority_cycles(votes.items, flow_II, variance_II, max(num_cycles, 1))
    return HodgeRank(
        items=votes.items,
        score_I=score_I,
        flow_II=flow_II,
        residual_II=residual_II,
        cyclic_share=left_over / whole if whole > 0 else 0.0,
        p_value=_p_value(wins_II, met_II, cycles[0].z if cycles else 0.0),
        cycles=tuple(cycles[:num_cycles]),
    )


def _wins(votes: Votes) -> FloatArray:
    """Shape (I, I): weight with which row beat column; a tie is no win."""
    num = len(votes.items)
    forward_V, backward_V = votes.left_V * num + votes.right_V, votes.right_V * num + votes.left_V
    won = total(forward_V, votes.weight_V * (votes.outcome_V > 0), num * num)
    lost = total(backward_V, votes.weight_V * (votes.outcome_V < 0), num * num)
    return (won + lost).reshape(num, num)


def _majority_cycles(
    items: tuple[str, ...], flow_II: FloatArray, variance_II: FloatArray, num_cycles: int
) -> list[Cycle]:
    """The surest of i > j > k > i by majority, each once: i is its first item in the order of `items`."""
    found: list[Cycle] = []
    for i in range(len(items)):
        beaten_J = i + 1 + np.flatnonzero(flow_II[i, i + 1 :] > 0)
        beating_K = i + 1 + np.flatnonzero(flow_II[i, i + 1 :] < 0)
        rows, columns = np.nonzero(flow_II[np.ix_(beaten_J, beating_K)] > 0)
        j_N, k_N = beaten_J[rows], beating_K[columns]
        edges = ([np.full_like(j_N, i), j_N, k_N], [j_N, k_N, np.full_like(j_N, i)])
        flow_3N = flow_II[edges[0], edges[1]]
        z_N = np.sqrt(_squared_distance(flow_3N, variance_II[edges[0], edges[1]]))
        for n in np.argsort(-z_N, kind="stable")[:num_cycles]:
            found.append(Cycle((items[i], items[j_N[n]], items[k_N[n]]), float(flow_3N[:, n].sum()), float(z_N[n])))
    return sorted(found, key=lambda cycle: -cycle.z)[:num_cycles]


def _squared_distance(flow_3N: FloatArray, variance_3N: FloatArray) -> FloatArray:
    """Weighted squares from the log-odds around each cycle, all positive, to the nearest of one order, shape (N,).

    Of the three steps around, an order makes two go up: both are 0 at most, and these are the two nearest to 0. Or it
    makes one go up, by t >= 0 and from the last to the first of it, and then the two others go down by t at most each.
    """
    square_3N = flow_3N**2 / variance_3N
    nearest_N: FloatArray = square_3N.sum(axis=0) - square_3N.max(axis=0)
    for up in range(3):
        others = [step for step in range(3) if step != up]
        for turned in (others, others[:1], others[1:]):  # the steps that t turns out to bind
            weight_N = sum(1 / variance_3N[step] for step in (up, *turned))
            pull_N = sum(flow_3N[step] / variance_3N[step] for step in turned) - flow_3N[up] / variance_3N[up]
            t_N = np.maximum(pull_N / weight_N, 0.0)
            excess_2N = np.maximum(flow_3N[others] - t_N, 0.0)
            squares_N = (flow_3N[up] + t_N) ** 2 / variance_3N[up] + (excess_2N**2 / variance_3N[others]).sum(axis=0)
            nearest_N = np.minimum(nearest_N, squares_N)
    return nearest_N


def _p_value(wins_II: FloatArray, met_II: BoolArray, z: float) -> float | None:
    num_groups, group_I = connected_components(met_II, directed=False)
    num_pairs, sizes = int(met_II.sum()) // 2, np.bincount(group_I)
    if num_pairs - len(met_II) + num_groups == 0:
        return None
    paths_II = met_II.astype(np.float64)
    num_triples = round(float(((paths_II @ paths_II) * paths_II).sum())) // 6
    by_chance = np.array([1, 4, 1]) / 8 @ chi2.sf(z**2, [1, 2, 3])
    of_triples = min(1.0, num_triples * float(by_chance)) if z > 0 else 1.0
    if num_pairs == int((sizes * (sizes - 1)).sum()) // 2:
        return of_triples  # among items that all met, a longer circle holds one of three
    of_circles = _of_longer_circles(wins_II, num_pairs)
    return of_circles if num_triples == 0 else min(1.0, 2 * min(of_triples, of_circles))


def _of_longer_circles(wins_II: FloatArray, num_pairs: int) -> float:
    """Every circle has a step against the order, and a sign test calls it as sure as q with probability q at most."""
    winner_E, loser_E = np.nonzero(wins_II > wins_II.T)
    sign_E = betainc(wins_II[winner_E, loser_E], wins_II[loser_E, winner_E] + 1, 0.5)
    steps = np.unique(sign_E)
    low, high = 0, len(steps)
    while low < high:  # the least q at which pairs as sure as q close a circle
        middle = (low + high) // 2
        sure_II = np.zeros(wins_II.shape, dtype=bool)
        sure_E = sign_E <= steps[middle]
        sure_II[winner_E[sure_E], loser_E[sure_E]] = True
        closed = connected_components(sure_II, connection="strong")[0] < len(wins_II)
        low, high = (low, middle) if closed else (middle + 1, high)
    return 1.0 if low == len(steps) else float(-np.expm1(num_pairs * np.log1p(-steps[low])))

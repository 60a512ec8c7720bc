"""HodgeRank: how much of the decided votes fits one order, and whether preferences are cyclic.

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
    """Three items of which a majority prefers each to the next, and the last to the first.

    curl: sum of the log-odds around the cycle. z: distance of the three log-odds from the nearest ones consistent with
    one order, in standard errors.
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
        flow_II: log-odds of row over column; 0 if no vote decided between two items.
        residual_II: flow minus differences of scores, if a vote decided between two items.
        cyclic_share: weighted squares of the residual over those of the flow: 0 if one order explains all, 1 if none.
        p_value: upper bound on the probability, under one order and independent votes, of a cycle as significant as the
            most significant here; 1 if no majorities form a cycle, None if no closed path of pairs was decided.
        cycles: three-item cycles, the most significant first.
    """

    items: tuple[str, ...]
    score_I: FloatArray
    flow_II: FloatArray
    residual_II: FloatArray
    cyclic_share: float
    p_value: float | None
    cycles: tuple[Cycle, ...]


def hodge_rank(votes: Votes, *, num_cycles: int = 10) -> HodgeRank:
    """Weighted least squares: minimise over s the sum over pairs of w_ij (y_ij - (s_i - s_j))^2, and test for cycles.

    y_ij = log((a + 1/2) / (b + 1/2)), with a and b the wins of i and of j, is finite even if one side won everything;
    w_ij = 1 / (1 / (a + 1/2) + 1 / (b + 1/2)) is one over its variance. Ties are left out: given that one of two wins,
    Davidson's model with any number of ties equals Bradley-Terry's, and its log-odds are additive, whereas those of
    scores with half a win for a tie are not. A pair that met as (left, right) and as (right, left) is one pair, so a
    position advantage cancels only if sides were balanced.

    The residual contains cycles and noise, and also any non-additivity of the log-odds: if everybody always prefers the
    better of any two, log-odds are equally large for near and far items, the share is up to 1/3, and there is no cycle.
    So the test is separate: `p_value` assumes only that there is one order, in which items farther apart are separated
    at least as surely (strong stochastic transitivity). The models of Bradley-Terry, Davidson and Thurstone are such
    orders, and so are votes in which the better item always wins. The statistic is the greatest z^2 of all cycles;
    under one order it exceeds x in one triple with a probability of at most
    P(chi2_1 > x) / 8 + P(chi2_2 > x) / 2 + P(chi2_3 > x) / 8, whatever the probabilities are, and in some triple with
    at most that probability times the number of triples. If not all pairs met, longer cycles are tested as well, by the
    sign test of their least significant pair; each of the two tests then has half the error.

    Args:
        votes: V votes.
        num_cycles: the most cycles to list.

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
    """Shape (I, I): total weight of votes in which row beat column; a tie is no win."""
    num = len(votes.items)
    forward_V, backward_V = votes.left_V * num + votes.right_V, votes.right_V * num + votes.left_V
    won = total(forward_V, votes.weight_V * (votes.outcome_V > 0), num * num)
    lost = total(backward_V, votes.weight_V * (votes.outcome_V < 0), num * num)
    return (won + lost).reshape(num, num)


def _majority_cycles(
    items: tuple[str, ...], flow_II: FloatArray, variance_II: FloatArray, num_cycles: int
) -> list[Cycle]:
    """The most significant majority cycles i > j > k > i, each once; i is the first in the order of `items`."""
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
    """Weighted squared distance (N,) of each cycle's log-odds, all positive, to the nearest of one order.

    Of the three steps around, an order makes two go up: then both are at most 0, and the two nearest to 0 are chosen.
    Or it makes one go up, by t >= 0 from the last item to the first, and then the two others go down by at most t each.
    """
    square_3N = flow_3N**2 / variance_3N
    nearest_N: FloatArray = square_3N.sum(axis=0) - square_3N.max(axis=0)
    for up in range(3):
        others = [step for step in range(3) if step != up]
        for turned in (others, others[:1], others[1:]):  # the steps for which the bound t is active
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
        return of_triples  # among items that all met, a longer cycle contains one of three
    of_circles = _of_longer_circles(wins_II, num_pairs)
    return of_circles if num_triples == 0 else min(1.0, 2 * min(of_triples, of_circles))


def _of_longer_circles(wins_II: FloatArray, num_pairs: int) -> float:
    """Every cycle has a step against the order, whose sign test is significant at q with probability at most q."""
    winner_E, loser_E = np.nonzero(wins_II > wins_II.T)
    sign_E = betainc(wins_II[winner_E, loser_E], wins_II[loser_E, winner_E] + 1, 0.5)
    steps = np.unique(sign_E)
    low, high = 0, len(steps)
    while low < high:  # the least q at which pairs significant at q close a cycle
        middle = (low + high) // 2
        sure_II = np.zeros(wins_II.shape, dtype=bool)
        sure_E = sign_E <= steps[middle]
        sure_II[winner_E[sure_E], loser_E[sure_E]] = True
        closed = connected_components(sure_II, connection="strong")[0] < len(wins_II)
        low, high = (low, middle) if closed else (middle + 1, high)
    return 1.0 if low == len(steps) else float(-np.expm1(num_pairs * np.log1p(-steps[low])))

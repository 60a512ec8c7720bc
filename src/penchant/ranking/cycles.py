"""HodgeRank: how much of what people said fits one order, and how much runs in circles.

Shapes: I items; matrices (I, I) hold log-odds that the row item beats the column item.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc

from penchant.ranking.connectivity import components
from penchant.ranking.design import total
from penchant.ranking.votes import FloatArray, Votes

__all__ = ["Cycle", "HodgeRank", "hodge_rank"]


@dataclass(frozen=True)
class Cycle:
    """Three items each of which a majority prefers to the next, and the last to the first.

    curl: sum of the log-odds around the cycle; z: curl over its standard error, so that 2 is hardly chance.
    """

    items: tuple[str, str, str]
    curl: float
    z: float


@dataclass(frozen=True, eq=False)
class HodgeRank:
    """Votes split into one order (gradient) and the rest (residual), which is orthogonal to it.

    Attributes:
        items: I names.
        score_I: the potential, log-odds, mean zero within each group of connected items.
        flow_II: log-odds of row over column; 0 where two items never met.
        residual_II: flow minus differences of scores, where two items met.
        cyclic_share: weighted squares of the residual over those of the flow: 0 one order explains everything, 1 none.
        p_value: how often chance alone gives so much residual if there is one order and votes are independent; None
            where no closed path of pairs was compared.
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
    """Weighted least squares: minimise over s the sum over pairs of w_ij (y_ij - (s_i - s_j))^2.

    y_ij = log((a + 1/2) / (b + 1/2)), a and b the wins of i and of j with a tie half a win for both, is finite also
    where one side won everything; w_ij = 1 / (1 / (a + 1/2) + 1 / (b + 1/2)) is one over its variance. A pair that met
    as left and right and as right and left is one pair, so a position advantage cancels only if sides were balanced.

    The residual is cycles and noise, and also whatever log-odds do not add up: where everybody always prefers the
    better of any two, log-odds are equally large for near and for far items, the share is up to 1/3, and there is no
    cycle. Read the share with `p_value` and with `cycles`.

    Args:
        votes: V votes.
        num_cycles: greatest length of the list of cycles.

    Example:
        >>> from penchant.ranking import Votes, hodge_rank
        >>> rows = [("rock", "scissors", 9, 1, 0), ("scissors", "paper", 9, 1, 0), ("paper", "rock", 9, 1, 0)]
        >>> split = hodge_rank(Votes.from_counts(rows))
        >>> round(split.cyclic_share, 6), split.cycles[0].items
        (1.0, ('rock', 'scissors', 'paper'))

    Reference:
        X. Jiang, L.-H. Lim, Y. Yao and Y. Ye, Statistical Ranking and Combinatorial Hodge Theory, Mathematical
        Programming 127, 2011. The halves in the log-odds: J. B. S. Haldane, Annals of Human Genetics 20, 1956, and
        F. J. Anscombe, Biometrika 43, 1956.
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
    num_circles = int(met_II.sum()) // 2 - len(votes.items) + len(components(votes))
    return HodgeRank(
        items=votes.items,
        score_I=score_I,
        flow_II=flow_II,
        residual_II=residual_II,
        cyclic_share=left_over / whole if whole > 0 else 0.0,
        p_value=float(gammaincc(num_circles / 2, left_over / 2)) if num_circles > 0 else None,
        cycles=tuple(_majority_cycles(votes.items, flow_II, variance_II, num_cycles)),
    )


def _wins(votes: Votes) -> FloatArray:
    """Shape (I, I): weight with which row beat column, a tie half a win for both."""
    num = len(votes.items)
    forward_V, backward_V = votes.left_V * num + votes.right_V, votes.right_V * num + votes.left_V
    won = total(forward_V, votes.weight_V * votes.score_V, num * num)
    lost = total(backward_V, votes.weight_V * (1 - votes.score_V), num * num)
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
        curl_N = flow_II[i, j_N] + flow_II[j_N, k_N] + flow_II[k_N, i]
        z_N = curl_N / np.sqrt(variance_II[i, j_N] + variance_II[j_N, k_N] + variance_II[k_N, i])
        for n in np.argsort(-z_N, kind="stable")[:num_cycles]:
            found.append(Cycle((items[i], items[j_N[n]], items[k_N[n]]), float(curl_N[n]), float(z_N[n])))
    return sorted(found, key=lambda cycle: -cycle.z)[:num_cycles]

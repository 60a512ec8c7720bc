"""Find which items the votes can rank against each other, and explain in words why the others cannot be.

Shapes: V votes, I items, E edges from a winner to a loser.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from penchant.errors import DataError
from penchant.ranking.votes import IntArray, Votes

__all__ = ["Unrankable", "components", "refuse_unrankable", "strong_components", "unrankable"]


@dataclass(frozen=True)
class Unrankable:
    """Items without a finite ability relative to the largest group, and the reason as a sentence."""

    items: tuple[str, ...]
    reason: str


def components(votes: Votes) -> list[tuple[str, ...]]:
    """Groups of items that votes connect, directly or through others; largest first.

    No votes compare items of two groups, so their relation is unknown. Votes of weight 0 do not connect.

    Example:
        >>> from penchant.ranking import Votes, components
        >>> components(Votes.from_columns(["a", "c", "a"], ["b", "d", "e"], ["left", "tie", "right"]))
        [('a', 'b', 'e'), ('c', 'd')]
    """
    return _groups(votes, _labels(votes, _edges(votes), "weak"))


def strong_components(votes: Votes) -> list[tuple[str, ...]]:
    """Groups within which every item has beaten (or tied with) every other through a chain of votes; largest first.

    Finite maximum-likelihood abilities exist exactly if there is one such group.

    Example:
        >>> from penchant.ranking import Votes, strong_components
        >>> strong_components(Votes.from_columns(["a", "b", "c"], ["b", "c", "b"], ["left", "left", "left"]))
        [('b', 'c'), ('a',)]

    Reference:
        L. R. Ford, Solution of a Ranking Problem from Binary Comparisons, American Mathematical Monthly 64(8), 1957.
    """
    return _groups(votes, _labels(votes, _edges(votes), "strong"))


def unrankable(votes: Votes) -> list[Unrankable]:
    """Every group of items without a finite ability relative to the largest group, each with its reason.

    An empty list means that the Bradley-Terry abilities exist and are unique (up to a shift).

    Example:
        >>> from penchant.ranking import Votes, unrankable
        >>> votes = Votes.from_columns(["a", "b", "c"], ["b", "c", "b"], ["left", "left", "left"])
        >>> [problem.reason for problem in unrankable(votes)]
        ["'a' won every vote against the other items, so no finite ability is high enough"]
    """
    winner_E, loser_E = edges = _edges(votes)
    weak_I, strong_I = (_labels(votes, edges, connection) for connection in ("weak", "strong"))
    across_E = strong_I[winner_E] != strong_I[loser_E]
    won, lost = set(strong_I[winner_E[across_E]].tolist()), set(strong_I[loser_E[across_E]].tolist())
    labels_of = dict(zip(votes.items, zip(weak_I.tolist(), strong_I.tolist(), strict=True), strict=True))
    problems = [
        Unrankable(group, f"{_names(group)} met none of the items of the largest connected group")
        for group in _groups(votes, weak_I)[1:]
    ]
    placed = set()  # the largest strong group of each connected group, to which the others are compared
    for group in _groups(votes, strong_I):
        weak, strong = labels_of[group[0]]
        if weak in placed:
            problems.append(Unrankable(group, f"{_names(group)} {_why(strong in won, strong in lost)}"))
        placed.add(weak)
    return problems


def refuse_unrankable(votes: Votes) -> None:
    """Raise DataError unless every item can be ranked.

    Raises:
        DataError: some items cannot be ranked; it names them and says why.

    Example:
        >>> from penchant.ranking import Votes, refuse_unrankable
        >>> refuse_unrankable(Votes.from_columns(["a", "b"], ["b", "a"], ["left", "left"]))
    """
    problems = unrankable(votes)
    if problems:
        reasons = "; ".join(problem.reason for problem in problems[:3])
        more = f"; and {len(problems) - 3} groups more" if len(problems) > 3 else ""
        raise DataError(
            f"These votes do not rank every item: {reasons}{more}. Collect votes that connect them both ways, rank "
            f"fewer items (votes.among), or add half a phantom win and half a phantom loss for each item (prior=True)."
        )


def _why(won: bool, lost: bool) -> str:
    """Why a group has no finite ability, by its votes against the others: all won, all lost, or some."""
    if won and lost:
        return "won every vote against some items and lost every vote against the others, so its distance is open"
    end = "high" if won else "low"
    return f"{'won' if won else 'lost'} every vote against the other items, so no finite ability is {end} enough"


def _edges(votes: Votes) -> tuple[IntArray, IntArray]:
    """Edges from winner to loser, each once; a tie is half a win for both sides, so an edge each way."""
    counts, num = votes.weight_V > 0, len(votes.items)
    forward_V, backward_V = votes.left_V * num + votes.right_V, votes.right_V * num + votes.left_V
    won, lost = counts & (votes.outcome_V >= 0), counts & (votes.outcome_V <= 0)
    winner_E, loser_E = np.divmod(np.unique(np.concatenate([forward_V[won], backward_V[lost]])), num)
    return winner_E, loser_E


def _labels(votes: Votes, edges: tuple[IntArray, IntArray], connection: str) -> IntArray:
    """The group of each item, shape (I,)."""
    graph = csr_array((np.ones(len(edges[0])), edges), shape=(len(votes.items),) * 2)
    return np.asarray(connected_components(graph, directed=True, connection=connection)[1], dtype=np.int64)


def _groups(votes: Votes, label_I: IntArray) -> list[tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for item, group in zip(votes.items, label_I.tolist(), strict=True):
        groups.setdefault(group, []).append(item)
    return sorted((tuple(group) for group in groups.values()), key=len, reverse=True)


def _names(items: tuple[str, ...]) -> str:
    """At most five names in a sentence."""
    shown = ", ".join(repr(item) for item in items[:5])
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5} more"

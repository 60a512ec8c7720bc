"""Regroup the rewards of pairs into the lists that the pairs were made from, and score them by part.

Parts and ids are those of RewardBench 2 (`penchant.data.importers.several_sides`): lists are named "PART/ID"; in part
"Ties" the ids are "tied:N", with several right answers, and "ref:N", the question with one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from penchant.data import Origin
from penchant.statistics import Estimate, ScoredList, best_of, mean_of_parts, ties_score
from penchant.tokens import EncodedPair

__all__ = ["scores_of_parts"]

MEAN = "mean of parts"
TIED, SINGLE = "tied:", "ref:"


def scores_of_parts(
    pairs: Sequence[EncodedPair], rewards: Sequence[tuple[float, float]], prompts: Sequence[bytes]
) -> dict[str, Estimate]:
    """The score of every part ("" for unnamed lists) and, if several, their mean; empty if there are no lists.

    pairs, prompts: in order. rewards: those of chosen and rejected. A row that made a single pair is not a list.
    """
    rows: defaultdict[tuple[Origin, bytes], list[int]] = defaultdict(list)
    for place, pair in enumerate(pairs):
        rows[pair.origin, prompts[place]].append(place)  # a row may hold a tree with several prompts
    parts: defaultdict[str, list[tuple[str, ScoredList, bytes]]] = defaultdict(list)
    for places in rows.values():
        if len(places) > 1:
            part, _, own = (pairs[places[0]].name or "").partition("/")
            parts[part].append((own, _list_of(places, pairs, rewards), prompts[places[0]]))
    found = {part: _score(lists) for part, lists in parts.items()}
    return found | ({MEAN: mean_of_parts(list(found.values()))} if len(found) > 1 else {})


def _list_of(places: Sequence[int], pairs: Sequence[EncodedPair], rewards: Sequence[tuple[float, float]]) -> ScoredList:
    """Right answers are those without a better one: in a list with more than two grades, only the best."""
    wrong = {pairs[i].rejected.key: rewards[i][1] for i in places}
    right = {pairs[i].chosen.key: rewards[i][0] for i in places if pairs[i].chosen.key not in wrong}
    return ScoredList(tuple(right.values()), tuple(wrong.values()))


def _score(lists: Sequence[tuple[str, ScoredList, bytes]]) -> Estimate:
    tied, single = (_by_id(lists, kind) for kind in (TIED, SINGLE))
    if len(tied) + len(single) == len(lists) and (score := ties_score(tied, single)) is not None:
        return score
    return best_of([one for _, one, _ in lists], [prompt for _, _, prompt in lists])


def _by_id(lists: Sequence[tuple[str, ScoredList, Any]], kind: str) -> Mapping[str, ScoredList]:
    return {own.removeprefix(kind): one for own, one, _ in lists if own.startswith(kind)}

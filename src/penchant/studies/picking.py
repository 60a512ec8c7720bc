"""Of a grid: the place with the highest win rate on held-out prompts among those surely within a budget of KL."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.evaluation.means import Mean
from penchant.studies.curves import Place

__all__ = ["at_most", "pick"]


def pick(places: Sequence[Place], kl_budget: float) -> Place | None:
    """None where none is surely within. What preferences a model gets right decides nothing.

    Surely: the upper limit of the KL's 95% interval is within. A place that lies beyond the budget passes by chance in
    about 2.5% of measurements at most, or somewhat more where few prompts show too little of a long tail
    (docs/frontier.md). Where two win as often, the one that stayed nearer to the start.
    """
    within = [place for place in places if at_most(place.kl) <= kl_budget]
    return max(within, key=lambda place: (place.win.rate, -place.kl.mean), default=None)


def at_most(kl: Mean) -> float:
    """Its upper limit; itself where it has none, as where all prompts have the same."""
    return kl.mean if kl.high is None else kl.high

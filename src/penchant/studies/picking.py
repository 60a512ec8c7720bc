"""Of a grid: the place with the highest win rate on held-out prompts among those within a budget of KL."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.studies.curves import Place

__all__ = ["pick"]


def pick(places: Sequence[Place], kl_budget: float) -> Place | None:
    """None where every place lies farther away. What preferences a model gets right decides nothing.

    Where two win as often, the one that stayed nearer to the start.
    """
    within = [place for place in places if place.kl.mean <= kl_budget]
    return max(within, key=lambda place: (place.win.rate, -place.kl.mean), default=None)

"""Pick the best place of a grid: the highest win rate on held-out prompts among those within a budget of KL."""

from __future__ import annotations

from collections.abc import Sequence

from penchant.evaluation.compared import Mean
from penchant.studies.curves import Place

__all__ = ["at_most", "pick"]


def pick(places: Sequence[Place], kl_budget: float) -> Place | None:
    """The best place; None if none is reliably within the budget. Preference accuracy plays no role.

    A place is within if the upper limit of its KL's 95% interval is. A place beyond the budget passes by chance in at
    most about 2.5% of measurements, somewhat more if few prompts underestimate a long tail (docs/frontier.md). Of two
    places with equal win rates, the one closer to the start is picked.
    """
    within = [place for place in places if at_most(place.kl) <= kl_budget]
    return max(within, key=lambda place: (place.win.rate, -place.kl.mean), default=None)


def at_most(kl: Mean) -> float:
    """The upper limit; the value itself if there is none because all prompts are equal."""
    return kl.mean if kl.high is None else kl.high

"""Means over answers or pairs with their intervals, clustered by prompt."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from penchant.ranking.winrate import paired_means

__all__ = ["Mean", "mean_of"]


@dataclass(frozen=True)
class Mean:
    """A mean over prompts with its 95% limits; both None if there is one prompt, or all have the same value.

    warning: why there are none, or that prompts are few.
    """

    mean: float
    low: float | None
    high: float | None
    warning: str | None = None


def mean_of(values: Sequence[float], prompts: Sequence[Hashable]) -> Mean:
    """The mean with its interval, clustered by prompt."""
    found = paired_means([0.0] * len(values), values, prompts)
    return Mean(found.after, found.low, found.high, found.warning)

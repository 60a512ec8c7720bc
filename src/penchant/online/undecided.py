"""Measure the share of prompts without a training signal, because the judge separated no two responses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from penchant.online.writing import Written

__all__ = ["UNDECIDED", "seen_of", "undecided"]

UNDECIDED = "frac_undecided"
"""The metric: a share of prompts."""


def undecided(rewards: Iterable[Collection[float]]) -> float:
    """The share of groups in which all rewards are equal. rewards: those of each group of compared responses.

    Example:
        >>> undecided([(1.0, 1.0), (0.0, 1.0)])
        0.5
    """
    alike = [len(set(group)) < 2 for group in rewards]
    return sum(alike) / len(alike) if alike else 1.0


def seen_of(written: Sequence[Written], *, by_prompt: bool = True) -> dict[str, float]:
    """Metrics of the amount sampled, and of the share of it without a training signal.

    by_prompt: whether responses are compared with others to their prompt, or with all others of the step.
    """
    groups: defaultdict[int, list[float]] = defaultdict(list)
    for one in written:
        groups[one.group].append(one.reward)
    compared = list(groups.values()) if by_prompt else [[one.reward for one in written]]
    counts = {"drawn/prompts": float(len(groups)), "drawn/responses": float(len(written))}
    return {**counts, UNDECIDED: undecided(compared)}

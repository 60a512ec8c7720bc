"""Cut the responses of a step into minibatches, one per optimiser step; responses to one prompt stay together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import TypeVar

__all__ = ["minibatches"]

Item = TypeVar("Item")


def minibatches(items: Sequence[Item], group_of: Callable[[Item], Hashable], num: int) -> list[list[Item]]:
    """At most `num` non-empty lists of nearly equally many groups, in order."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(group_of(item), []).append(item)
    each = list(groups.values())
    num = min(num, len(each))
    cuts = [round(i * len(each) / num) for i in range(num + 1)] if num else [0]
    return [[item for group in each[a:b] for item in group] for a, b in pairwise(cuts)]

"""Sort token sequences lexicographically, without holding many of them in memory.

Adjacent sequences in this order share prefixes. Many sequences are split by two tokens at a time, with a few numbers
per sequence, until a group is small enough to be sorted directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["groups_in_order", "in_token_order", "order_key"]

MOST = 4096
"""The most sequences in memory at a time."""
STEP = 2


Item = TypeVar("Item")


@runtime_checkable
class Ordered(Protocol):
    """Items that can be sorted without being built."""

    def in_token_order(self) -> Iterator[int]:
        """The indices of all items, in token order."""


def in_token_order(items: Sequence[Item], key: Callable[[Item], Any]) -> Iterable[int]:
    """Indices of the items in token order; key: their sequences, unless they are `Ordered`."""
    if isinstance(items, Ordered):
        return items.in_token_order()
    return sorted(range(len(items)), key=lambda i: key(items[i]))


def order_key(ids: NDArray[np.integer]) -> bytes:
    """A key that compares like the list of ids, but faster."""
    return ids.astype(">u4").tobytes()


def groups_in_order(
    which: NDArray[np.int64], tokens_at: Callable[[NDArray[np.int64], int], NDArray[np.uint64]]
) -> Iterator[NDArray[np.int64]]:
    """The numbers `which` in groups, every sequence of a group before every one of the next; not sorted within.

    tokens_at(which, depth): tokens `depth` and `depth` + 1 of each as one number that orders as they do, 0 for a
    sequence that ends before. A group has at most MOST sequences, or all of its are equal; equal ones are in one group.
    """
    waiting = [(which, 0)]
    while waiting:
        group, depth = waiting.pop()
        if len(group) <= MOST or depth < 0:
            if len(group):
                yield group
            continue
        tokens = tokens_at(group, depth)
        order = np.argsort(tokens, kind="stable")
        group, tokens = group[order], tokens[order]
        del order
        starts = np.concatenate([[0], np.flatnonzero(tokens[1:] != tokens[:-1]) + 1, [len(group)]])
        parts: list[tuple[NDArray[np.int64], int]] = []
        begin = 0
        while begin < len(starts) - 1:
            # as many neighbours as are few together, else one that is split further, or whose sequences have ended
            end = int(np.searchsorted(starts, starts[begin] + MOST, side="right")) - 1
            deeper = depth + STEP if tokens[starts[begin]] else -1
            end = max(end, begin + 1)
            parts.append((group[starts[begin] : starts[end]], deeper))
            begin = end
        waiting += reversed(parts)

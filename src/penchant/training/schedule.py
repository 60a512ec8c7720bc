"""The learning rate of a step, and the order of the items, both pure functions of their arguments."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Batches",
    "batches_of_epoch",
    "group_numbers",
    "learning_rate_factor",
    "num_batches",
    "num_steps",
    "preference_peak",
]

Item = TypeVar("Item")

FEW_STEPS, MANY_STEPS = (60, 1e-5), (5600, 5e-7)
"""(steps, peak): measured on a model of 135M parameters (docs/defaults.md), and zephyr's (arXiv 2310.16944)."""


def learning_rate_factor(step: int, num_steps: int, warmup_ratio: float, schedule: str) -> float:
    """Factor of the peak learning rate in optimiser step `step` (from 0), in [0, 1].

    It rises linearly over the first ceil(warmup_ratio * num_steps) steps, then stays ("constant"), or falls to zero
    after the last step linearly ("linear") or along half a cosine ("cosine").
    """
    warmup = math.ceil(warmup_ratio * num_steps)
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, num_steps - warmup)
    return 1.0 - progress if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))


def preference_peak(num_steps: int) -> float:
    """The peak learning rate of preference training for a number of steps, to one digit; ten times for an adapter.

    A log-log line through two rates known to work: few steps need a high rate to have an effect, many steps need a low
    one.

    Example:
        >>> preference_peak(25), preference_peak(500), preference_peak(5600)
        (1e-05, 2e-06, 5e-07)
    """
    (few, high), (many, low) = FEW_STEPS, MANY_STEPS
    share = math.log(max(num_steps, 1) / few) / math.log(many / few)
    return float(f"{high * (low / high) ** min(max(share, 0.0), 1.0):.0e}")


def num_batches(num_items: int, batch_size: int) -> int:
    """The number of batches of an epoch; the last may be smaller."""
    return -(-num_items // batch_size)


def num_steps(num_items: int, batch_size: int, epochs: int, max_steps: int | None) -> int:
    """The optimiser steps of a run: one per batch, at most max_steps."""
    steps = epochs * num_batches(num_items, batch_size)
    return steps if max_steps is None else min(steps, max_steps)


class Batches(Sequence[list[Item]]):
    """The batches of an epoch, each assembled on access."""

    def __init__(self, items: Sequence[Item], order: NDArray[np.int64], batch_size: int) -> None:
        self._items, self._order, self._size = items, order, batch_size

    def __len__(self) -> int:
        return num_batches(len(self._order), self._size)

    @overload
    def __getitem__(self, index: int) -> list[Item]: ...

    @overload
    def __getitem__(self, index: slice) -> Batches[Item]: ...

    def __getitem__(self, index: int | slice) -> list[Item] | Batches[Item]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            assert step == 1, "batches come one after the other"
            return Batches(self._items, self._order[start * self._size : stop * self._size], self._size)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return [self._items[int(i)] for i in self._order[index * self._size : (index + 1) * self._size]]


def group_numbers(groups: Iterable[Hashable]) -> NDArray[np.int64]:
    """The number of every item's group; groups are numbered in order of appearance."""
    if not isinstance(groups, np.ndarray):
        known: dict[Hashable, int] = {}
        return np.array([known.setdefault(group, len(known)) for group in groups], dtype=np.int64)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def batches_of_epoch(
    items: Sequence[Item], groups: NDArray[np.int64], *, batch_size: int, epoch: int, seed: int, as_given: bool = False
) -> Batches[Item]:
    """The epoch's batches: groups (the pairs of one prompt) kept together, in an order drawn from seed and epoch.

    groups: of every item, see `group_numbers`. Adjacent items share their prompt, so it is run once. as_given: single
    items in their given order instead.
    """
    if as_given:
        return Batches(items, np.arange(len(groups)), batch_size)
    order = np.random.default_rng([seed, epoch]).permutation(int(groups.max(initial=-1)) + 1)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Batches(items, np.argsort(rank[groups], kind="stable"), batch_size)

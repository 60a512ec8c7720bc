"""The learning rate of a step, and the order of the items, both pure functions of their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

__all__ = ["batches_of_epoch", "learning_rate_factor", "num_batches"]

Item = TypeVar("Item")


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


def num_batches(num_items: int, batch_size: int) -> int:
    """Batches of an epoch; the last may be smaller."""
    return -(-num_items // batch_size)


def batches_of_epoch(
    items: Sequence[Item], group_of: Callable[[Item], Hashable], *, batch_size: int, epoch: int, seed: int
) -> list[list[Item]]:
    """The epoch's batches: groups (the pairs of one prompt) in an order drawn from seed and epoch, kept together.

    Neighbours share their prompt, so it is run once.
    """
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(group_of(item), []).append(item)
    order = np.random.default_rng([seed, epoch]).permutation(len(groups))
    listed = list(groups.values())
    flat = [item for i in order for item in listed[i]]
    return [flat[start : start + batch_size] for start in range(0, len(flat), batch_size)]

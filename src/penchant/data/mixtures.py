"""Take a number of records of a source, the first or a random sample, and weight them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from heapq import heappush, heapreplace
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

from penchant.data.records import Demonstration
from penchant.errors import ConfigError

__all__ = ["Subset", "require_subset", "taken", "weighed"]

Subset = Literal["head", "random"]
Record = TypeVar("Record", bound=Any)


def require_subset(subset: object, where: str) -> None:
    """Raise ConfigError unless this names a way to choose rows."""
    if subset not in get_args(Subset):
        raise ConfigError(f"{where}: subset must be {' or '.join(get_args(Subset))}, got {subset!r}.")


def taken(records: Iterable[Record], most: int | None, subset: Subset, seed: int) -> Iterator[Record]:
    """At most `most` of the records, in their order.

    "random" takes those with the smallest sha256 of seed and content, so that each is equally likely and the choice
    depends on neither names nor order of files; at most `most` records are held in memory. "head" stops reading after
    the last record taken.
    """
    if most is None or subset == "head":
        return islice(records, most)
    return _drawn(records, most, seed)


def _drawn(records: Iterable[Record], most: int, seed: int) -> Iterator[Record]:
    held: list[tuple[int, int, Any]] = []  # a heap whose first entry is dropped first; positions are unique
    for place, record in enumerate(records):
        one = (-_lot(record, seed), -place, record)
        if len(held) < most:
            heappush(held, one)
        elif one[:2] > held[0][:2]:
            heapreplace(held, one)
    yield from (record for _, _, record in sorted(held, key=lambda one: -one[1]))


def _lot(record: Any, seed: int) -> int:
    content = record.model_dump_json(exclude={"origin"})
    return int.from_bytes(hashlib.sha256(f"{seed}\n{content}".encode()).digest()[:8], "big")


def weighed(record: Record, weight: float) -> Record:
    """The record with its weight, or the weight of every answer in it, multiplied by a factor."""
    if isinstance(record, Demonstration):
        messages = tuple(
            one.model_copy(update={"weight": one.weight * weight}) if one.role == "assistant" else one
            for one in record.messages
        )
        return record.model_copy(update={"messages": messages})
    changed: Record = record.model_copy(update={"weight": record.weight * weight})
    return changed

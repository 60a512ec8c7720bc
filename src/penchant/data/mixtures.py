"""A part of a mixture of data: where its rows are, how much each counts in the loss, and how many are taken.

Written in one word, it is `pairs.jsonl::weight=0.5,max_rows=1000`.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from heapq import heappush, heapreplace
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

from penchant.data.records import Demonstration
from penchant.errors import ConfigError
from penchant.wording import nearest

__all__ = ["Part", "Subset", "require_subset", "taken", "weighed"]

Subset = Literal["head", "random"]
Record = TypeVar("Record", bound=Any)
MARK = "::"


@dataclass(frozen=True)
class Part:
    """What is read of one source.

    path: a file, a folder, a pattern, `hub:owner/name` or `-`. weight: factor on the loss of each of its records, above
    0. max_rows: at most so many records. subset: which these are, its first or a random choice.

    Raises ConfigError for a value that is none.
    """

    path: str
    weight: float = 1.0
    max_rows: int | None = None
    subset: Subset = "head"

    def __post_init__(self) -> None:
        number = isinstance(self.weight, int | float) and not isinstance(self.weight, bool)
        if not (number and math.isfinite(self.weight) and self.weight > 0):
            raise ConfigError(
                f"{self.path}: the weight of its rows must be a number above 0, got {self.weight}; leave the file out "
                "if they are not to count."
            )
        whole = self.max_rows is None or (isinstance(self.max_rows, int) and not isinstance(self.max_rows, bool))
        if not whole or (self.max_rows is not None and self.max_rows < 1):
            raise ConfigError(f"{self.path}: max_rows must be a whole number from 1 on, got {self.max_rows}.")
        require_subset(self.subset, self.path)
        if self.subset != "head" and self.max_rows is None:
            raise ConfigError(f"{self.path}: subset={self.subset} chooses max_rows records; say how many.")

    def __str__(self) -> str:
        return self.path + (f"{MARK}{self.options}" if self.options else "")

    @property
    def options(self) -> str:
        """What is not as it is by default, in one word: `weight=0.5,max_rows=1000`; empty where all is."""
        said = [
            (one.name, getattr(self, one.name)) for one in fields(self)[1:] if getattr(self, one.name) != one.default
        ]
        return ",".join(f"{name}={value}" for name, value in said)

    @classmethod
    def of(cls, name: str) -> Part:
        """What a name says; a file whose own name holds `::` is that file."""
        path, mark, options = name.rpartition(MARK)
        if not mark or os.path.lexists(name):
            return cls(name)
        return cls.read({"path": path, **dict(_option(name, one) for one in options.split(","))})

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Part:
        """The same from a mapping, as settings have it."""
        names = [one.name for one in fields(cls)]
        for name in said:
            if name not in names:
                hint = (
                    f"did you mean {meant}?"
                    if (meant := nearest(str(name), names))
                    else f"there are {', '.join(names)}."
                )
                raise ConfigError(f"{said.get('path')}: a source of data has no {name}; {hint}")
        if not isinstance(said.get("path"), str) or not said["path"]:
            raise ConfigError(f"a source of data needs a path, got {dict(said)}.")
        return cls(**said)

    def as_dict(self) -> dict[str, Any]:
        """The part as settings have it."""
        return asdict(self)


def _option(name: str, text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key, {"weight": float, "max_rows": int}.get(key, str)(value)
    except ValueError:
        raise ConfigError(f"{name}: {key}={value} is no number; write {key}=2, say.") from None


def require_subset(subset: object, where: str) -> None:
    """Raises ConfigError where this does not say which rows are taken."""
    if subset not in get_args(Subset):
        raise ConfigError(f"{where}: subset must be {' or '.join(get_args(Subset))}, got {subset!r}.")


def taken(records: Iterable[Record], most: int | None, subset: Subset, seed: int) -> Iterator[Record]:
    """At most so many of the records, in their order.

    "random" takes those with the smallest sha256 of seed and content, so that each is as likely as any other and the
    choice depends on neither names nor order of files; no more than `most` records are held. "head" reads no further
    than the last that it takes.
    """
    if most is None or subset == "head":
        return islice(records, most)
    return _drawn(records, most, seed)


def _drawn(records: Iterable[Record], most: int, seed: int) -> Iterator[Record]:
    held: list[tuple[int, int, Any]] = []  # a heap that begins with what goes first; no two have the same place
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
    """The record with its weight, or that of every answer in it, multiplied."""
    if isinstance(record, Demonstration):
        messages = tuple(
            one.model_copy(update={"weight": one.weight * weight}) if one.role == "assistant" else one
            for one in record.messages
        )
        return record.model_copy(update={"messages": messages})
    changed: Record = record.model_copy(update={"weight": record.weight * weight})
    return changed

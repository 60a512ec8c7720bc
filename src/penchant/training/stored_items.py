"""The tokens of demonstrations and labelled responses, both sides of the split, from the cache or newly made.

Mismatched responses for the KL baseline are chosen within a side, so an entry belongs to one split: the seed and the
held-out share are part of its key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from penchant.data import Loaded, Verdict
from penchant.data.given import Source
from penchant.tokens import ChatEncoder, Limits, Tokenised
from penchant.tokens.items import ItemStore, ItemWriter
from penchant.training.kept import found_or_made, key_of

__all__ = ["BothSides", "stored_items"]

_LOADED: TypeAdapter[Loaded[Any]] = TypeAdapter(Loaded[Any])
_PROBLEMS: TypeAdapter[tuple[Verdict, ...]] = TypeAdapter(tuple[Verdict, ...])


@dataclass(frozen=True)
class BothSides:
    """loaded: the report on reading. train, held_out: the encoded records of each side."""

    loaded: Loaded[Any]
    train: Tokenised[Any]
    held_out: Tokenised[Any]


def stored_items(
    kind: str,
    make: Callable[[], BothSides],
    sources: Sequence[Source],
    encoder: ChatEncoder,
    limits: Limits,
    read_as: str,
    *,
    folder: Path | None,
    say: Callable[[str], None],
) -> BothSides:
    """The result of `make`, cached in the folder; None, or an unknown cache key, keeps it in memory.

    kind: its name in `ItemStore`. read_as: all that decides the result besides sources, encoder and limits.
    """
    key = None if folder is None else key_of(sources, encoder, limits, f"{kind} {read_as}")
    if folder is None or key is None:
        return make()
    try:
        return found_or_made(folder / key, _read, lambda place: _write(place, kind, make()), say)
    except OSError as error:
        say(f"{folder}: the tokens cannot be stored ({error.strerror}), so the next run tokenises the data again")
        return make()


def _write(place: Path, kind: str, made: BothSides) -> None:
    sides = made.train, made.held_out
    with ItemWriter.into(place) as writer:
        for side in sides:
            for item in side.items:
                writer.add(item)
        writer.finish(
            {
                "kind": kind,
                "loaded": _LOADED.dump_python(replace(made.loaded, records=()), mode="json"),
                "num_items": [len(side.items) for side in sides],
                "problems": [_PROBLEMS.dump_python(side.problems, mode="json") for side in sides],
                "num_truncated": [side.num_truncated for side in sides],
            }
        )


def _read(place: Path) -> BothSides:
    store = ItemStore.open(place)
    facts = store.facts
    begins = 0, facts["num_items"][0], len(store)
    train, held_out = (
        Tokenised(store[begin:end], _PROBLEMS.validate_python(tuple(problems)), num_truncated)
        for (begin, end), problems, num_truncated in zip(
            pairwise(begins), facts["problems"], facts["num_truncated"], strict=True
        )
    )
    return BothSides(_LOADED.validate_python(facts["loaded"]), train, held_out)

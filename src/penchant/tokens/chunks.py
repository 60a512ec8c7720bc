"""Records become ids a chunk at a time: one is encoded, by threads of the tokenizer, while the next is written out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from penchant.tokens.encoding import ChatEncoder, Text
from penchant.tokens.pieces import Encoded
from penchant.tokens.refusals import BoundaryError

__all__ = ["encoded_in_chunks"]

CHUNK = 512
Record = TypeVar("Record")
Written = list[Text | BoundaryError]
Ids = list[list[int]]


def encoded_in_chunks(
    encoder: ChatEncoder, records: Iterable[Record], write: Callable[[Record], Iterable[Text]]
) -> Iterator[tuple[Record, Ids, BoundaryError | None]]:
    """Every record in order with the ids of the texts that `write` gives for it.

    Where one cannot be written or encoded, the ids are those of the texts before it, and its BoundaryError stands
    beside them. A Text that several records of a chunk share is encoded once.
    """
    rest = iter(records)
    with ThreadPoolExecutor(1) as beside:
        waiting = None
        while chunk := list(islice(rest, CHUNK)):
            written = [_written(write, record) for record in chunk]
            coming = chunk, beside.submit(_encode, encoder, written)
            if waiting is not None:
                yield from zip(waiting[0], *zip(*waiting[1].result(), strict=True), strict=True)
            waiting = coming
        if waiting is not None:
            yield from zip(waiting[0], *zip(*waiting[1].result(), strict=True), strict=True)


def _written(write: Callable[[Record], Iterable[Text]], record: Record) -> Written:
    """The texts of a record; the error in place of the first that cannot be written, and none behind it."""
    texts: Written = []
    try:
        texts.extend(write(record))  # keeps what came before an error
    except BoundaryError as error:
        texts.append(error)
    return texts


def _encode(encoder: ChatEncoder, written: list[Written]) -> list[tuple[Ids, BoundaryError | None]]:
    distinct = list(dict.fromkeys(text for texts in written for text in texts if isinstance(text, Text)))
    ids_of: dict[Text, Encoded] = dict(zip(distinct, encoder.encode(distinct), strict=True))
    return [
        _until_error(text if isinstance(text, BoundaryError) else ids_of[text] for text in texts) for texts in written
    ]


def _until_error(found: Iterable[Encoded]) -> tuple[Ids, BoundaryError | None]:
    ids: Ids = []
    for one in found:
        if isinstance(one, BoundaryError):
            return ids, one
        ids.append(one)
    return ids, None

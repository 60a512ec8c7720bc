"""Encode records in chunks: one is encoded by tokenizer threads while the next is rendered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from penchant.tokens.encoding import ChatEncoder, Text
from penchant.tokens.pieces import Encoded, Split
from penchant.tokens.refusals import BoundaryError

__all__ = ["encoded_in_chunks"]

CHUNK = 512
NUM_AHEAD = 2
"""Chunks queued for the tokenizer while earlier ones are processed, so that it never waits."""
Record = TypeVar("Record")
Written = list[Text | BoundaryError]
Ids = list[list[int]]


def encoded_in_chunks(
    encoder: ChatEncoder, records: Iterable[Record], write: Callable[[Record], Iterable[Text]]
) -> Iterator[tuple[Record, Ids, BoundaryError | None]]:
    """Yield every record in order, with the ids of the texts that `write` renders for it.

    If a text cannot be rendered or encoded, the ids are those of the texts before it, with its BoundaryError beside
    them. A Text shared by several records of a chunk is encoded once.
    """
    rest = iter(records)
    with ThreadPoolExecutor(1) as beside:
        waiting: deque[_Chunk[Record]] = deque()
        while records_of := list(islice(rest, CHUNK)):
            waiting.append(_Chunk.begun(encoder, records_of, write, beside))
            if len(waiting) > NUM_AHEAD:
                yield from waiting.popleft().finished(encoder)
        while waiting:
            yield from waiting.popleft().finished(encoder)


@dataclass(frozen=True)
class _Chunk(Generic[Record]):
    """Records whose texts are being tokenised; the remaining Python work follows when that is done."""

    records: list[Record]
    written: list[Written]
    distinct: list[Text]
    split: Future[Split]

    @classmethod
    def begun(
        cls,
        encoder: ChatEncoder,
        records: list[Record],
        write: Callable[[Record], Iterable[Text]],
        beside: ThreadPoolExecutor,
    ) -> _Chunk[Record]:
        written = [_written(write, record) for record in records]
        distinct = list(dict.fromkeys(text for texts in written for text in texts if isinstance(text, Text)))
        return cls(records, written, distinct, beside.submit(encoder.split, distinct))

    def finished(self, encoder: ChatEncoder) -> Iterator[tuple[Record, Ids, BoundaryError | None]]:
        found = encoder.joined(self.distinct, self.split.result())
        ids_of: dict[Text, Encoded] = dict(zip(self.distinct, found, strict=True))
        for record, texts in zip(self.records, self.written, strict=True):
            yield record, *_until_error(text if isinstance(text, BoundaryError) else ids_of[text] for text in texts)


def _written(write: Callable[[Record], Iterable[Text]], record: Record) -> Written:
    """The texts of a record, up to the first that cannot be rendered, which is replaced by its error."""
    texts: Written = []
    try:
        texts.extend(write(record))  # keeps what came before an error
    except BoundaryError as error:
        texts.append(error)
    return texts


def _until_error(found: Iterable[Encoded]) -> tuple[Ids, BoundaryError | None]:
    ids: Ids = []
    for one in found:
        if isinstance(one, BoundaryError):
            return ids, one
        ids.append(one)
    return ids, None

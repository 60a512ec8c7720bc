"""The model as the chat sees it; whoever starts the server brings one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from penchant.data.records import Message, Source

__all__ = ["Talker"]


class Talker(Protocol):
    """Something that answers. `fits`, `reply` and what it returns are called by one thread, one at a time."""

    def source(self, seed: int) -> Source:
        """What is recorded as the author of the answers with this seed."""
        ...

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether the context has room for these messages and the longest answer to them."""
        ...

    def reply(self, messages: Sequence[Message], num: int, seed: int) -> Iterator[tuple[int, str]]:
        """Pieces of `num` answers as they are written, each with the number of its answer, counted from 0.

        Closing the iterator stops the writing. May raise anything; the person is told one sentence.
        """
        ...

"""The protocol of the chat's model, provided by the server's caller, and the queue of people for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from penchant.data.records import Message, Source

__all__ = ["ModelQueue", "Talker"]

Result = TypeVar("Result")


class Talker(Protocol):
    """A model that answers. `fits`, `reply` and its iterator are called by one thread, one at a time."""

    def source(self, seed: int) -> Source:
        """The recorded source of the answers with this seed."""
        ...

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether the context has room for these messages and the longest answer."""
        ...

    def reply(self, messages: Sequence[Message], num: int, seed: int) -> Iterator[tuple[int, str]]:
        """Yield pieces of `num` answers as they are generated, each with its answer's index, from 0.

        Closing the iterator stops the writing. May raise anything; the person sees one sentence.
        """
        ...


class ModelQueue:
    """A queue for the only model, first come, first served; one thread runs it.

    A reply is taken piece by piece, so the thread is free between any two pieces, and an abandoned reply ends there.
    There is a single thread because a model's own threads belong to the thread that calls it.
    """

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penchant-chat")

    def join(self, ticket: object) -> None:
        """Join the end of the queue."""
        self._line.append(ticket)

    def num_before(self, ticket: object) -> int:
        """The number of people ahead; 0 for the one being served."""
        return self._line.index(ticket)

    def leave(self, ticket: object) -> None:
        """Leave the queue; may be called again."""
        if ticket in self._line:
            self._line.remove(ticket)

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in the model's thread and wait for its result."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def run_later(self, function: Callable[[], Any]) -> None:
        """Schedule a function in the model's thread without waiting for it."""
        self._thread.submit(function)

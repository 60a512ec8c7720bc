"""The model as the chat sees it, which whoever starts the server brings, and the line of people who wait for it."""

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


class ModelQueue:
    """The one model: people stand in line for it, first come, first served, and one thread runs it.

    A reply is taken a piece at a time, so the thread is free between any two pieces and a reply that nobody wants any
    more ends there. One thread and not several: a model's own threads belong to whoever calls it.
    """

    def __init__(self) -> None:
        self._line: deque[object] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penchant-chat")

    def join(self, ticket: object) -> None:
        """Stand at the end of the line."""
        self._line.append(ticket)

    def num_before(self, ticket: object) -> int:
        """How many are served first; 0 for whoever is served now."""
        return self._line.index(ticket)

    def leave(self, ticket: object) -> None:
        """Let the next one come; whoever has left already may leave again."""
        if ticket in self._line:
            self._line.remove(ticket)

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in the model's thread and wait for what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def run_later(self, function: Callable[[], Any]) -> None:
        """Call a function in the model's thread, behind what runs there; nobody waits for it."""
        self._thread.submit(function)

"""The engine: one thread steps the model while there is work, and each client receives its new pieces."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from penchant.serving.answer import Piece
from penchant.serving.asked import Asked
from penchant.serving.batch import Batch, Ticket
from penchant.serving.refusal import Refusal

__all__ = ["Engine"]

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Engine:
    """Used in one event loop; the batch has its own thread, which owns the model's threads."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="penchant-serve")
        self._listeners: dict[Ticket, asyncio.Queue[Piece | Refusal]] = {}
        self._work: asyncio.Task[None] | None = None

    async def take(self, asked: Asked) -> Ticket:
        """Start a request; the caller must consume `pieces` or close it. Raises Refusal."""
        ticket = await self._run(self._batch.take, asked)
        self._listeners[ticket] = asyncio.Queue()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._write())
        return ticket

    async def pieces(self, ticket: Ticket) -> AsyncGenerator[Piece]:
        """Yield pieces as they are generated; closing it frees its rows. Raises Refusal if the model fails."""
        queue, left = self._listeners[ticket], len(ticket.answers)
        try:
            while left:
                piece = await queue.get()
                if isinstance(piece, Refusal):
                    raise piece
                left -= piece.ending is not None
                yield piece
        finally:
            self.leave(ticket)

    def leave(self, ticket: Ticket) -> None:
        """Stop the request; may be called again."""
        if self._listeners.pop(ticket, None) is not None:
            self._thread.submit(self._batch.leave, ticket)

    async def _write(self) -> None:
        while self._batch.tickets:
            try:
                told = await self._run(self._batch.step)
            except Exception as error:
                # without its text, which may contain user data
                log.error("the model failed: %s; the requests under way are given up", type(error).__name__)
                log.debug("its traceback", exc_info=error)
                await self._run(self._batch.clear)
                for queue in self._listeners.values():
                    queue.put_nowait(Refusal(500, "the model failed; try again", code="model_failed"))
                return
            for ticket, piece in told:
                if ticket in self._listeners:
                    self._listeners[ticket].put_nowait(piece)

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

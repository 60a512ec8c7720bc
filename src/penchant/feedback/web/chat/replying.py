"""Stream a reply to a browser: one line of JSON for every piece, and the result at the end.

Lines: {"kind": "waiting", "before": 1} while others are served; "begin" with the positions of the answers; "piece" with
its position and plain text; "end" with the whole conversation and, after an error, the "problem": the key of one
sentence.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from penchant.data.records import Message
from penchant.feedback.web.chat.conversation import Conversation, Ending, Turn
from penchant.feedback.web.chat.talker import ModelQueue, Talker
from penchant.feedback.web.rendering import mark

__all__ = ["Reply", "ReplyResponse"]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05


class Reply:
    """Writes the answers of `turn`, which its conversation has started. view: the conversation as shown."""

    def __init__(self, queue: ModelQueue, talker: Talker, conversation: Conversation, view: Callable[[], Any]) -> None:
        assert conversation.turn is not None, "begin comes first"
        self.queue, self.talker, self.conversation, self.view = queue, talker, conversation, view
        self.turn: Turn = conversation.turn
        self.messages: list[Message] = list(conversation.messages)
        self.pieces: Iterator[tuple[int, str]] | None = None
        self.ending: Ending = "stopped"
        self.problem: str | None = None

    async def lines(self) -> AsyncGenerator[bytes]:
        """Yield the lines for the browser; ends if the person stops it or the browser disconnects."""
        self.queue.join(self)
        told = 0
        while (before := self.queue.num_before(self)) and not self.turn.has_stopped:
            if before != told:
                yield _line(kind="waiting", before=before)
                told = before
            await asyncio.sleep(POLL_SECONDS)
        try:
            async with aclosing(self._written()) as written:
                async for line in written:
                    yield line
        except Exception as error:
            # without the error's text, which may contain what the person wrote
            log.error("the model failed in a chat: %s", type(error).__name__)
            log.debug("its traceback", exc_info=error)
            self.ending, self.problem = "failed", "chat_failed"
        self.close()
        yield _line(kind="end", chat=await asyncio.to_thread(self.view), problem=self.problem)

    async def _written(self) -> AsyncGenerator[bytes]:
        turn, run = self.turn, self.queue.run
        if turn.has_stopped:
            return
        if not await run(self.talker.fits, self.messages):
            self.ending, self.problem = "failed", "chat_full"
            return
        yield _line(kind="begin", places=sorted(turn.place(number) for number in range(turn.num)))
        self.pieces = await run(self.talker.reply, self.messages, turn.num, turn.seed)
        while not turn.has_stopped:
            found = await run(next, self.pieces, None)
            if found is None:
                self.ending = "whole"
                self.problem = None if any(map(str.strip, turn.texts)) else "chat_silent"
                return
            number, text = found
            turn.texts[number] += text
            yield _line(kind="piece", place=turn.place(number), text=mark(text))

    def close(self) -> None:
        """Release the model and finish the conversation's turn. May be called again."""
        pieces, self.pieces = self.pieces, None
        close = getattr(pieces, "close", None)
        if close is not None:
            self.queue.run_later(close)  # after a piece that may be in progress
        self.queue.leave(self)
        self.conversation.settle(self.turn, self.ending)


class ReplyResponse(StreamingResponse):
    """A response with a reply's lines, which closes the reply however the connection ends."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        headers = {"X-Accel-Buffering": "no"}  # otherwise nginx would buffer the lines
        super().__init__(reply.lines(), media_type="application/x-ndjson", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self.body_iterator):  # type: ignore[type-var]  # it is our own generator
                await super().__call__(scope, receive, send)
        finally:
            self.reply.close()


def _line(**values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

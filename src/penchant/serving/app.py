"""The routes of OpenAI's API, and the gate that every request passes: its host, its token, its size."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from penchant.serving.answer import Piece
from penchant.serving.asked import Asked, read_chat, read_completion
from penchant.serving.batch import Batch, Ticket
from penchant.serving.engine import Engine
from penchant.serving.refusal import Refusal
from penchant.serving.replies import ChatReply, CompletionReply, Reply, event

__all__ = ["MOST_BYTES", "create_app"]

log = logging.getLogger(__name__)

MOST_BYTES = 1_000_000


def create_app(batch: Batch, *, allowed_hosts: Iterable[str], token: str | None = None) -> ASGIApp:
    """Create the app that serves the model of a batch.

    allowed_hosts: valid host names; any other is refused, so that no web page can reach a server on its reader's
    machine under its own name. token: what a request must contain; None if the server needs none.
    """
    service = _Service(batch)
    routes = [
        Route("/v1/models", service.models, methods=["GET"]),
        Route("/v1/models/{name:path}", service.model, methods=["GET"]),
        Route("/v1/chat/completions", service.chat, methods=["POST"]),
        Route("/v1/completions", service.completion, methods=["POST"]),
        Route("/health", service.health, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found, Refusal: _refused})
    app.state.batch = batch
    return _Gate(app, frozenset(host.lower() for host in allowed_hosts), token)


class _Service:
    """The state shared by the routes."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.engine = batch, Engine(batch)
        self.name, self.fingerprint = batch.model.name, batch.model.digest[:12]

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described()]})

    async def model(self, request: Request) -> Response:
        if request.path_params["name"] != self.name:
            raise Refusal(
                404,
                f"this server has only the model {self.name!r}; ask for that",
                param="model",
                code="model_not_found",
            )
        return JSONResponse(self._described())

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, read_chat, ChatReply)

    async def completion(self, request: Request) -> Response:
        return await self._answer(request, read_completion, CompletionReply)

    async def _answer(self, request: Request, read: Callable[..., Asked], kind: type[Reply]) -> Response:
        body = await _body(request)
        asked = read(body, self.name, longest=self.batch.longest, any_seed=secrets.randbelow(2**31))
        ticket = await self.engine.take(asked)
        reply = kind(self.name, self.fingerprint, ticket.num_prompt_tokens, asked.num_likeliest is not None)
        if asked.is_live:
            return _Stream(self.engine, ticket, reply, asked)
        return JSONResponse(reply.whole(await self._whole(request, ticket)))

    async def _whole(self, request: Request, ticket: Ticket) -> list[Piece]:
        """Complete answers; if the client disconnects, generation stops."""

        async def write() -> list[Piece]:
            return [piece async for piece in self.engine.pieces(ticket)]

        writing = asyncio.create_task(write())
        going = asyncio.ensure_future(request.receive())  # the body was read: what comes is that the client has gone
        try:
            await asyncio.wait({writing, going}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                raise ClientDisconnect
            return await writing
        finally:
            going.cancel()
            writing.cancel()
            self.engine.leave(ticket)

    def _described(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "created": 0, "owned_by": "penchant"}


class _Stream(StreamingResponse):
    """A response with a reply's events, which frees its rows however the connection ends."""

    def __init__(self, engine: Engine, ticket: Ticket, reply: Reply, asked: Asked) -> None:
        self.engine, self.ticket = engine, ticket
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # otherwise nginx would buffer the events
        super().__init__(self._events(reply, asked), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self.body_iterator):  # type: ignore[type-var]  # it is our own generator
                await super().__call__(scope, receive, send)
        finally:
            self.engine.leave(self.ticket)

    async def _events(self, reply: Reply, asked: Asked) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(self.engine.pieces(self.ticket)) as pieces:
                async for piece in pieces:
                    for one in reply.events(piece):
                        yield one
        except Refusal as refusal:
            yield event(refusal.body())
        for one in reply.last_events(counts=asked.counts):
            yield one


class _Gate:
    """The outermost middleware: refuses invalid requests, and reports every error in OpenAI's form."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str], token: str | None) -> None:
        self.app, self.allowed_hosts, self.token = app, allowed_hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no websockets here
        has_begun = False

        async def sent(message: Any) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            self._check(Headers(scope=scope), scope)
            await self.app(scope, receive, sent)
        except ClientDisconnect:
            return
        except Refusal as refusal:
            await JSONResponse(refusal.body(), refusal.status)(scope, receive, send)
        except Exception as error:
            log.error("a request failed: %s", type(error).__name__)  # without its text, which may contain user data
            log.debug("its traceback", exc_info=error)
            if not has_begun:
                await JSONResponse(
                    Refusal(500, "something went wrong on the server; try again, or see its log").body(), 500
                )(scope, receive, send)

    def _check(self, headers: Headers, scope: Scope) -> None:
        hosts = [host.lower() for host in headers.getlist("host")]
        names = {name for host in hosts for name in (host, host.rpartition(":")[0] or host)}
        if len(hosts) != 1 or not names & self.allowed_hosts:
            raise Refusal(421, "the server does not answer under this address; use the one that penchant serve printed")
        given = headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self.token is not None and not hmac.compare_digest(given, self.token.encode()):
            raise Refusal(
                401,
                "the API key is not the token of this server; send the token that penchant serve printed",
                code="invalid_api_key",
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            raise Refusal(415, "only the content type application/json is accepted")


async def _body(request: Request) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MOST_BYTES:
            raise Refusal(413, f"the request is larger than {MOST_BYTES} bytes; send less")
    return bytes(parts)


async def _not_found(request: Request, error: Any) -> Response:
    message = {404: "the server has no such address", 405: "this address does not accept that method"}
    refusal = Refusal(error.status_code, message.get(error.status_code, str(error.detail)))
    return JSONResponse(refusal.body(), refusal.status, headers=error.headers)


async def _refused(request: Request, refusal: Any) -> Response:
    return JSONResponse(refusal.body(), refusal.status)

"""Security checks of every request, and security headers of every response.

`Guard` wraps the whole app, so that no route can forget a check: the Host is one we serve (against DNS rebinding); a
request that may change something comes from our own page (Origin), proves that its page belongs to this session
(X-CSRF-Token), is JSON and is small.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penchant.feedback.web.sessions import csrf_token, session_of

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "MAX_BODY_BYTES",
    "Guard",
]

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64_000
JOIN = "/join/"
SAFE_METHODS = frozenset({"GET", "HEAD"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """The outermost ASGI middleware: refuses invalid requests and adds headers to every response.

    allowed_hosts: valid host names (or name:port); anything else is refused with 421.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str]) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here
        answer = _Answer(scope, send)
        headers = Headers(scope=scope)
        session = session_of(HTTPConnection(scope))
        if refusal := self._refusal(scope, headers, session):
            await answer.refuse(*refusal)
            return
        if scope["method"] not in SAFE_METHODS:
            body = await _read_body(receive)
            if body is None:
                await answer.refuse(413, f"the request is larger than {MAX_BODY_BYTES} bytes")
                return
            receive = _replay(body, receive)
        scope.setdefault("state", {})["session"] = session
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            log.exception("%s failed", scope["method"])  # without the path, which may contain an invitation's token
            if not answer.started:
                await answer.refuse(500, "something went wrong here; reload the page")

    def _refusal(self, scope: Scope, headers: Headers, session: str) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_allowed(hosts[0]):
            return 421, "this address is not served here; open the link that penchant annotate printed"
        return None if scope["method"] in SAFE_METHODS else self._refusal_of_change(scope, headers, hosts[0], session)

    @staticmethod
    def _refusal_of_change(scope: Scope, headers: Headers, host: str, session: str) -> tuple[int, str] | None:
        origin = headers.get("origin", "")
        is_ours = origin in (f"http://{host}", f"https://{host}")
        if not is_ours or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return 403, "the request does not come from a page of this server"
        if not scope["path"].startswith(JOIN):  # joining has no session yet; the link authenticates it
            if not session:
                return 401, "there is no session; open your link again"
            given = headers.get("x-csrf-token", "")
            if not hmac.compare_digest(given.encode(), csrf_token(session).encode()):
                return 403, "the page is older than the session; reload it"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "only the content type application/json is accepted"
        return None

    def _is_allowed(self, host: str) -> bool:
        host = host.lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        return host in self.allowed_hosts or name in self.allowed_hosts


class _Answer:
    """Sends the response: adds the headers, and remembers whether it has started."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send, self.started = scope, send, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            is_static = self._scope["path"].startswith("/static/")
            headers["Cache-Control"] = "no-cache" if is_static else "no-store"
        await self._send(message)

    async def refuse(self, status: int, reason: str) -> None:
        """Refuse with one sentence, as text for people and as JSON for scripts."""
        if self._scope["path"].startswith("/api/"):
            response = Response(json.dumps({"error": reason}), status, media_type="application/json")
        else:
            response = Response(reason + "\n", status, media_type="text/plain")
        await response(self._scope, _nothing, self.send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _read_body(receive: Receive) -> bytes | None:
    """The body, or None as soon as it is larger than it may be."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed

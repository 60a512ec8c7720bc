"""Who is asking: the cookie of a session, and whose it is.

The session is the token of an invitation in a cookie that scripts cannot read and other sites cannot send; the store
keeps only the token's hash. The CSRF token is an HMAC under that token: who does not have the cookie cannot make it,
and nothing has to be stored.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Depends, HTTPException, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response

from penchant.feedback.records import Annotator
from penchant.feedback.storing import OWNER_NAME, Store

__all__ = [
    "Admin",
    "Owner",
    "Person",
    "Sessions",
    "cookie_name",
    "csrf_token",
    "end_session",
    "name_of",
    "room_of",
    "session_of",
    "set_session",
]

COOKIE = "penchant_session"
"""And the port, where the address has one: a browser sends a machine's cookies to all its ports."""

NAME_SUFFIX = "_name"
MONTH_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Owner:
    """The person who started the server: their token is kept outside the store."""

    token: str
    annotator_id: int

    def __repr__(self) -> str:
        return f"Owner(annotator_id={self.annotator_id})"  # a token is never printed by accident


@dataclass(frozen=True)
class Sessions:
    """Knows people by their token. secure: whether their cookies are for https alone."""

    store: Store
    secure: bool
    owner: Owner | None = None

    def __post_init__(self) -> None:
        if self.owner is not None:
            self.store.let_in(self.owner.token, self.owner.annotator_id)

    def annotator(self, token: str) -> Annotator | None:
        """Whose token this is; None for nobody's and for one who was disabled."""
        return self.store.annotator_by_token(token)

    def is_owner(self, name: str) -> bool:
        """Whether this is the name of the person who started the server."""
        return self.owner is not None and name.strip() == OWNER_NAME


def room_of(request: Request) -> Any:
    """The store, project, sessions and pages of the app that serves this request."""
    return request.app.state.room


def _person(request: Request) -> Annotator:
    found: Annotator | None = room_of(request).sessions.annotator(request.state.session)
    if found is None:
        raise HTTPException(401, "there is no session; open your link again")
    return found


Person = Annotated[Annotator, Depends(_person)]
"""In a route's arguments: whoever has a session. 401 without one."""


def _admin(person: Person) -> Annotator:
    if person.role != "admin":
        raise HTTPException(403, "only an admin may do this")
    return person


Admin = Annotated[Annotator, Depends(_admin)]
"""In a route's arguments: an admin. 401 without a session, 403 for anybody else."""


def csrf_token(session: str) -> str:
    """The token that the pages of this session send back with every change."""
    return hmac.new(session.encode(), b"penchant csrf", hashlib.sha256).hexdigest()


def session_of(connection: HTTPConnection) -> str:
    """The token in the cookie of this request; "" without one. The guard leaves it in `request.state.session`."""
    return connection.cookies.get(cookie_name(connection.headers.get("host", "")), "")


def name_of(connection: HTTPConnection) -> str:
    """The name that the browser was given along with its session; "" without one.

    It is sent along a link from another site too, where the session itself is not, and opens nothing.
    """
    return unquote(connection.cookies.get(cookie_name(connection.headers.get("host", "")) + NAME_SUFFIX, ""))


def set_session(response: Response, token: str, name: str, host: str, *, secure: bool) -> None:
    """Give the browser its session at this host: not for scripts, not sent from other sites. name: whose it is."""
    kept: dict[str, Any] = {"max_age": MONTH_SECONDS, "path": "/", "httponly": True, "secure": secure}
    response.set_cookie(cookie_name(host), token, samesite="strict", **kept)
    response.set_cookie(cookie_name(host) + NAME_SUFFIX, quote(name), samesite="lax", **kept)


def end_session(response: Response, host: str) -> None:
    """Take the session from the browser; the link that gave it opens a new one."""
    for cookie in (cookie_name(host), cookie_name(host) + NAME_SUFFIX):
        response.delete_cookie(cookie, path="/")


def cookie_name(host: str) -> str:
    """What the session's cookie is called at this host, so that two servers on one machine do not log each other out.

    Example:
        >>> cookie_name("127.0.0.1:8765"), cookie_name("votes.example.org")
        ('penchant_session_8765', 'penchant_session')
    """
    port = host.rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isdigit() and port.isascii() else COOKIE

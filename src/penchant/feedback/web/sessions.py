"""Sessions: the cookie, and the person it belongs to.

The session is the token of an invitation in a cookie that scripts cannot read and other sites cannot send; the store
stores only the token's hash. The CSRF token is an HMAC under that token: it cannot be made without the cookie, and
nothing has to be stored.
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
"""The port is added, as a browser sends a machine's cookies to all its ports."""

NAME_SUFFIX = "_name"
MONTH_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class Owner:
    """The person who started the server: their token is stored outside the store."""

    token: str
    annotator_id: int

    def __repr__(self) -> str:
        return f"Owner(annotator_id={self.annotator_id})"  # a token is never printed by accident


@dataclass(frozen=True)
class Sessions:
    """Finds people by their token. secure: whether their cookies are for https only."""

    store: Store
    secure: bool
    owner: Owner | None = None

    def __post_init__(self) -> None:
        if self.owner is not None:
            self.store.let_in(self.owner.token, self.owner.annotator_id)

    def annotator(self, token: str) -> Annotator | None:
        """The owner of this token; None for an unknown token and for a disabled person."""
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
"""Route argument: the person with the session. 401 without one."""


def _admin(person: Person) -> Annotator:
    if person.role != "admin":
        raise HTTPException(403, "only an admin may do this; ask one")
    return person


Admin = Annotated[Annotator, Depends(_admin)]
"""Route argument: an admin. 401 without a session, 403 for anybody else."""


def csrf_token(session: str) -> str:
    """The token that the pages of this session send back with every change."""
    return hmac.new(session.encode(), b"penchant csrf", hashlib.sha256).hexdigest()


def session_of(connection: HTTPConnection) -> str:
    """The token in the cookie of this request; "" without one. The guard leaves it in `request.state.session`."""
    return connection.cookies.get(cookie_name(connection.headers.get("host", "")), "")


def name_of(connection: HTTPConnection) -> str:
    """The name that the browser received with its session; "" without one.

    It is also sent along links from other sites, unlike the session itself, and grants no access.
    """
    return unquote(connection.cookies.get(cookie_name(connection.headers.get("host", "")) + NAME_SUFFIX, ""))


def set_session(response: Response, token: str, name: str, host: str, *, secure: bool) -> None:
    """Set the session cookie for this host: HttpOnly and SameSite. name: the person's."""
    kept: dict[str, Any] = {"max_age": MONTH_SECONDS, "path": "/", "httponly": True, "secure": secure}
    response.set_cookie(cookie_name(host), token, samesite="strict", **kept)
    response.set_cookie(cookie_name(host) + NAME_SUFFIX, quote(name), samesite="lax", **kept)


def end_session(response: Response, host: str) -> None:
    """Delete the session cookie; the link opens a new session."""
    for cookie in (cookie_name(host), cookie_name(host) + NAME_SUFFIX):
        response.delete_cookie(cookie, path="/")


def cookie_name(host: str) -> str:
    """The name of the session cookie at this host, so that two servers on one machine do not log each other out.

    Example:
        >>> cookie_name("127.0.0.1:8765"), cookie_name("votes.example.org")
        ('penchant_session_8765', 'penchant_session')
    """
    port = host.rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isdigit() and port.isascii() else COOKIE

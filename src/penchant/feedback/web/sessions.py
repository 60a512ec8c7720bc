"""Who is asking: from the cookie to an annotator, or to nobody."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request

from penchant.feedback.people import OWNER_NAME
from penchant.feedback.records import Annotator, Refused
from penchant.feedback.state import Who
from penchant.feedback.store import Store
from penchant.feedback.web.security import session_of

__all__ = ["Admin", "Owner", "Person", "Sessions", "room_of", "who_asks"]


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

    def annotator(self, token: str) -> Annotator | None:
        """Whose token this is; None for nobody's and for one who was disabled."""
        try:
            who = self.who(token)
        except Refused:
            return None
        if isinstance(who, str):
            return self.store.annotator_by_token(who)
        found = [person for person in self.store.annotators() if person.id == who]
        return next((person for person in found if person.disabled_at is None), None)

    def who(self, token: str) -> Who:
        """Whom the store should look for: the owner by id, others by their token."""
        if not token or not token.isascii():
            raise Refused("no_session", "there is no session; open your link again")
        if self.owner and hmac.compare_digest(token.encode(), self.owner.token.encode()):
            return self.owner.annotator_id
        return token

    def is_owner(self, name: str) -> bool:
        """Whether this is the name of the person who started the server."""
        return self.owner is not None and name.strip() == OWNER_NAME


def room_of(request: Request) -> Any:
    """The store, project, sessions and pages of the app that serves this request."""
    return request.app.state.room


def who_asks(request: Request) -> Who:
    """For `Store.turn` and `Store.vote`, which find the person themselves: one trip to the database, not two."""
    who: Who = room_of(request).sessions.who(session_of(request))
    return who


def _person(request: Request) -> Annotator:
    found: Annotator | None = room_of(request).sessions.annotator(session_of(request))
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

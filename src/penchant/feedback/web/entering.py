"""The way in: a link with a token becomes a session; and a sign of life for whoever watches the server."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from penchant.feedback.web.security import set_session
from penchant.feedback.web.sessions import room_of

__all__ = ["router"]

router = APIRouter()


@router.get("/join/{token}")
def join(request: Request, token: str) -> Response:
    """Give the browser its session and go on to the first page.

    The page goes on by itself instead of by a redirect: a browser that came from another site (a mail, a chat) would
    not send a SameSite=Strict cookie along a redirect, and the person would stand before a closed door.
    """
    room = room_of(request)
    if room.sessions.annotator(token) is None:
        raise HTTPException(410, "this link does not work")
    response: Response = room.pages.render(request, "joining.html")
    set_session(response, token, request.headers["host"], secure=room.sessions.secure)
    return response


@router.get("/healthz")
def healthz(request: Request) -> dict[str, str]:
    """That the server answers and its database can be read."""
    room_of(request).store.annotators()
    return {"status": "ok"}

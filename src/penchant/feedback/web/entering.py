"""Sign in and out: a link with a token starts a session; and a health check."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import JSONResponse, Response

from penchant.feedback.records import Annotator
from penchant.feedback.web.sessions import end_session, name_of, room_of, set_session

__all__ = ["router"]

router = APIRouter()


@router.get("/join/{token}")
def join(request: Request, token: str) -> Response:
    """Start the browser's session and continue to the first page; ask first if another person's session exists.

    The page continues by itself instead of by a redirect: a browser coming from another site (a mail, a chat) would not
    send a SameSite=Strict cookie along a redirect, and the person would be refused.
    """
    room, person = room_of(request), _owner_of(request, token)
    there = _who_is_there(request)
    if there and there != person.name:
        asking: Response = room.pages.render(request, "replacing.html", there=there, name=person.name)
        return asking
    return _let_in(request, token, person, room.pages.render(request, "joining.html"))


@router.post("/join/{token}")
def join_instead(request: Request, token: str) -> Response:
    """Replace another person's session, after a confirmation on our page."""
    return _let_in(request, token, _owner_of(request, token), JSONResponse({}))


@router.post("/api/sign-out")
def sign_out(request: Request) -> Response:
    """End the session in this browser; the person's link opens it again."""
    response = JSONResponse({})
    end_session(response, request.headers["host"])
    return response


def _owner_of(request: Request, token: str) -> Annotator:
    person: Annotator | None = room_of(request).sessions.annotator(token)
    if person is None:
        raise HTTPException(410, "this link does not work; ask for a new one")
    return person


def _who_is_there(request: Request) -> str:
    """The name of the person with a session in this browser; "" if there is none, or it is invalid."""
    if session := request.state.session:
        person = room_of(request).sessions.annotator(session)
        return person.name if person else ""
    return name_of(request)


def _let_in(request: Request, token: str, person: Annotator, response: Response) -> Response:
    secure = room_of(request).sessions.secure
    set_session(response, token, person.name, request.headers["host"], secure=secure)
    return response


@router.get("/healthz")
def healthz(request: Request) -> dict[str, str]:
    """Report that the server answers and its database can be read."""
    room_of(request).store.annotators()
    return {"status": "ok"}

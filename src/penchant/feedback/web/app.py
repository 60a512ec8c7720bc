"""The app: pages, their API and the guard around both."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from penchant.errors import UserError
from penchant.feedback.project import Project
from penchant.feedback.records import Refused
from penchant.feedback.storing import Store
from penchant.feedback.web import adjudicating, administering, annotating, entering
from penchant.feedback.web.pages import Pages
from penchant.feedback.web.security import Guard
from penchant.feedback.web.sessions import Owner, Sessions
from penchant.wording import MAX_REASON, one_line

__all__ = ["Room", "create_app"]

log = logging.getLogger(__name__)

STATUS_OF_REFUSED = {
    "no_session": 401,
    "disabled": 403,
    "not_admin": 403,
    "not_yours": 404,
    "unknown": 404,
    "taken": 409,
    "key": 409,
}


@dataclass(frozen=True)
class Room:
    """The objects shared by the routes."""

    store: Store
    project: Project
    sessions: Sessions
    pages: Pages


def create_app(
    store: Store,
    project: Project,
    *,
    allowed_hosts: Iterable[str],
    secure: bool,
    owner: Owner | None = None,
    chat: APIRouter | None = None,
) -> FastAPI:
    """The annotation app for one project.

    allowed_hosts: its host names, any other Host is refused. secure: whether the cookie is for https only. owner: a
    token, stored outside the store, that opens one annotator's session. chat: a router with more pages, served behind
    the same guard.
    """
    app = FastAPI(title="Penchant", docs_url=None, redoc_url=None, openapi_url=None)
    store.prepare()
    sessions = Sessions(store, secure=secure, owner=owner)
    app.state.room = Room(store, project, sessions, Pages(project.config.title))
    app.router.routes.extend(annotating.often)
    app.state.room.pages.environment.globals["has_chat"] = chat is not None
    for router in (entering.router, annotating.router, administering.router, adjudicating.router, chat):
        if router is not None:
            app.include_router(router)
    static = Path(str(files("penchant.feedback.web") / "static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Refused, _refuse_answer)
    app.add_exception_handler(UserError, _report)
    app.add_exception_handler(RequestValidationError, _refuse_body)
    app.add_exception_handler(ValidationError, _refuse_body)
    app.add_middleware(Guard, allowed_hosts=allowed_hosts)
    return app


async def _refuse(request: Request, error: Any) -> Response:
    """A page for people, one sentence for scripts."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": str(error.detail)}, error.status_code)
    room: Room = request.app.state.room
    message = {401: "welcome", 403: "forbidden", 410: "bad_link"}.get(error.status_code, "not_found")
    return room.pages.message(request, message, error.status_code)


async def _refuse_answer(request: Request, error: Any) -> Response:
    return JSONResponse({"error": str(error), "code": error.code}, STATUS_OF_REFUSED.get(error.code, 422))


async def _report(request: Request, error: Any) -> Response:
    """Report an error of the store: in full to admins, without details to others, as these may name files."""
    if request.url.path.startswith(("/api/admin", "/admin")):
        return JSONResponse({"error": str(error)}, 422)
    log.error("%s", error)
    return JSONResponse({"error": "the database cannot be reached just now; the page tries again"}, 503)


async def _refuse_body(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    complaint = f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
    return JSONResponse({"error": one_line(complaint, MAX_REASON)}, 422)

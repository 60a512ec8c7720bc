"""The admin pages: answers received, annotators and their reliability, invitations, exports."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from penchant.feedback.web.sessions import Admin, room_of

__all__ = ["router"]

router = APIRouter()

ExportFormat = Literal["pairs", "kto", "sft", "arena", "raw"]


class SentInvitation(BaseModel):
    """A person to invite; inviting an existing one makes a new link, and the old one stops working."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    role: Literal["annotator", "admin"] = "annotator"


@router.get("/admin")
def admin(request: Request, person: Admin) -> Response:
    """The page; it refreshes its figures with `/admin/figures`."""
    return _figures_page(request, person, "admin.html")


@router.get("/admin/figures")
def figures(request: Request, person: Admin) -> Response:
    """The part of the page that changes while people answer."""
    return _figures_page(request, person, "figures.html")


@router.get("/api/admin/summary")
def summary(request: Request, person: Admin) -> dict[str, Any]:
    """Everything the page shows, as JSON."""
    return _summary(request)


@router.get("/admin/export/{to}")
def download(request: Request, person: Admin, to: ExportFormat) -> Response:
    """The answers as a file of JSON lines."""
    from penchant.feedback.exports import export

    room = room_of(request)
    folder = tempfile.TemporaryDirectory(prefix="penchant-")  # readable only by this user
    file = Path(folder.name) / f"{to}.jsonl"
    try:
        export(room.store, to, file)
    except BaseException:
        folder.cleanup()
        raise
    slug = re.sub(r"[^a-z0-9]+", "-", room.project.path.resolve().name.lower()).strip("-") or "project"
    return FileResponse(
        file,
        media_type="application/x-ndjson",
        filename=f"{slug}-{to}-{datetime.now(UTC):%Y%m%d}.jsonl",
        background=BackgroundTask(folder.cleanup),
    )


@router.post("/api/admin/invitations")
def invite(request: Request, person: Admin, sent: SentInvitation) -> dict[str, Any]:
    """A link for a person. It is shown only once; only its hash is stored."""
    room = room_of(request)
    if room.sessions.is_owner(sent.name):
        raise HTTPException(409, f"{sent.name} has the link that penchant annotate prints; choose another name")
    invitation = room.store.invite(sent.name, sent.role)
    base = str(request.base_url).rstrip("/")
    if room.sessions.secure:
        base = "https" + base[base.index(":") :]
    return {
        "id": invitation.annotator.id,
        "name": invitation.annotator.name,
        "role": invitation.annotator.role,
        "link": f"{base}/join/{invitation.token}",
    }


@router.post("/api/admin/annotators/{annotator_id}/disable")
def disable(
    request: Request, person: Admin, annotator_id: Annotated[int, InPath(ge=1, le=2**31 - 1)]
) -> dict[str, int]:
    """Disable a person; their answers stay."""
    room = room_of(request)
    if annotator_id == person.id or (room.sessions.owner and annotator_id == room.sessions.owner.annotator_id):
        raise HTTPException(409, "you can disable neither yourself nor whoever started the server")
    room.store.disable(annotator_id)
    return {"id": annotator_id}


def _summary(request: Request) -> dict[str, Any]:
    from penchant.feedback.summary import summary as summarise  # brings numpy and scipy, which annotators never need

    found: dict[str, Any] = summarise(room_of(request).store)
    return found


def _figures_page(request: Request, person: Any, template: str) -> Response:
    room = room_of(request)
    response: Response = room.pages.render(
        request,
        template,
        person=person,
        summary=_summary(request),
        people=room.store.annotators(),
        is_owner=room.sessions.is_owner,
        now=datetime.now(UTC),
    )
    return response

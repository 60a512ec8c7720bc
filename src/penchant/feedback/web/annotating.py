"""The page on which people compare, and the API that its script uses."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from penchant.feedback.records import Annotator, Assignment, NewAnswer
from penchant.feedback.web.rendering import pieces
from penchant.feedback.web.sessions import Person, room_of
from penchant.feedback.web.views import PlacedOutcome, assignment_view, outcome_at, progress_view, text_at

__all__ = ["router"]

router = APIRouter()
MAX_ID = 2**31 - 1
AssignmentId = Annotated[int, Field(ge=1, le=MAX_ID)]


class SentAnswer(BaseModel):
    """An answer as the page sends it: a place, not a side. key: made by the page; sent twice, it is one answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str = Field(min_length=8, max_length=100)
    assignment_id: AssignmentId
    outcome: PlacedOutcome
    strength: int | None = Field(None, ge=1, le=4)
    reasons: tuple[str, ...] = Field((), max_length=50)
    comment: str = Field("", max_length=10_000)
    seconds: float = Field(ge=0, le=10_000_000, allow_inf_nan=False)


class SentUndo(BaseModel):
    """key: as for an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str = Field(min_length=8, max_length=100)


@router.get("/")
def annotate(request: Request, person: Person) -> Response:
    """The page itself; its script fetches the pairs."""
    room = room_of(request)
    config = room.project.config
    response: Response = room.pages.render(
        request,
        "annotate.html",
        person=person,
        guidelines=config.guidelines,
        asks_strength=config.strength,
        reasons=config.reasons,
    )
    return response


@router.get("/api/next")
def next_pairs(request: Request, person: Person) -> dict[str, Any]:
    """The pair to answer now, the one after it where it could be had, and how far it is."""
    room = room_of(request)
    current = room.store.next_assignment(person.id)
    then = room.store.next_assignment(person.id, ahead=1) if current else None
    return {
        "current": current and assignment_view(current),
        "then": then and assignment_view(then),
        "progress": progress_view(room.store.progress(person.id)),
    }


@router.post("/api/answers")
def record(request: Request, person: Person, sent: SentAnswer) -> dict[str, Any]:
    """Save an answer; the reply means that it is on disk."""
    room = room_of(request)
    assignment = _own(request, person, sent.assignment_id)
    values = sent.model_dump() | {"outcome": outcome_at(sent.outcome, assignment.shown_first)}
    if values["outcome"] not in ("a", "b"):
        values["strength"] = None
    answer = room.store.record(NewAnswer(annotator_id=person.id, **values))
    return {
        "key": answer.key,
        "answer_id": answer.id,
        "saved_at": answer.created_at.isoformat(),
        "progress": progress_view(room.store.progress(person.id)),
    }


@router.post("/api/undo")
def undo(request: Request, person: Person, sent: SentUndo) -> dict[str, Any]:
    """Take back one's latest answer; the pair waits for an answer again."""
    room = room_of(request)
    withdrawn = room.store.undo(person.id, sent.key)
    assignment = withdrawn and room.store.assignment(withdrawn.assignment_id, person.id)
    return {
        "key": sent.key,
        "assignment": assignment and assignment_view(assignment),
        "progress": progress_view(room.store.progress(person.id)),
    }


@router.get("/api/history")
def history(
    request: Request,
    person: Person,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> list[dict[str, Any]]:
    """One's own current answers, newest first. before: the `answer_id` of the last one seen."""
    found = room_of(request).store.history(person.id, limit, before)
    return [
        assignment_view(item.assignment.model_copy(update={"answer": item.answer})) | {"answer_id": item.answer.id}
        for item in found
    ]


@router.get("/api/assignments/{assignment_id}")
def assignment(request: Request, person: Person, assignment_id: AssignmentId) -> dict[str, Any]:
    """One of one's own pairs."""
    return assignment_view(_own(request, person, assignment_id))


@router.get("/api/assignments/{assignment_id}/text/{place}")
def whole_text(request: Request, person: Person, assignment_id: AssignmentId, place: str) -> dict[str, Any]:
    """The whole of a text that the view has cut, as written, in pieces."""
    text = text_at(_own(request, person, assignment_id), place)
    if text is None:
        raise HTTPException(404, "there is no such text")
    return {"pieces": pieces(text)}


@router.get("/api/progress")
def progress(request: Request, person: Person) -> dict[str, Any]:
    """How far one is."""
    return progress_view(room_of(request).store.progress(person.id))


def _own(request: Request, person: Annotator, assignment_id: AssignmentId) -> Assignment:
    found: Assignment | None = room_of(request).store.assignment(assignment_id, person.id)
    if found is None:
        raise HTTPException(404, "there is no such pair of yours")
    return found

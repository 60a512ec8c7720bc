"""The page on which people compare, and the API that its script uses."""

from __future__ import annotations

import hashlib
from asyncio import wrap_future
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response
from starlette.routing import Route

from penchant.feedback.asking import Desk
from penchant.feedback.project import Project
from penchant.feedback.records import Annotator, Assignment, NewAnswer, PlacedOutcome, Side, Text, outcome_at
from penchant.feedback.web.rendering import pieces
from penchant.feedback.web.sessions import Person, room_of
from penchant.feedback.web.views import answer_view, assignment_view, progress_view, text_at

__all__ = ["often", "router"]

router = APIRouter()
MAX_ID = 2**31 - 1
AssignmentId = Annotated[int, Field(ge=1, le=MAX_ID)]


class SentAnswer(BaseModel):
    """An answer as the page sends it: a position, not a side. key: made by the page; sent twice, it counts once."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: Text = Field(min_length=8, max_length=100)
    assignment_id: AssignmentId
    outcome: PlacedOutcome
    strength: int | None = Field(None, ge=1, le=4)
    reasons: tuple[Text, ...] = Field((), max_length=50)
    comment: Text = Field("", max_length=10_000)
    seconds: float = Field(ge=0, le=10_000_000, allow_inf_nan=False)

    def at(self, annotator_id: int, shown_first: Side) -> NewAnswer:
        """The answer of a person to whom that side was shown first."""
        outcome = outcome_at(self.outcome, shown_first)
        said = self.model_dump(exclude={"outcome", "strength"})
        strength = self.strength if outcome in ("a", "b") else None
        return NewAnswer(annotator_id=annotator_id, outcome=outcome, strength=strength, **said)


class SentUndo(BaseModel):
    """key: as for an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: Text = Field(min_length=8, max_length=100)


@router.get("/")
def annotate(request: Request, person: Person) -> Response:
    """The page itself; its script fetches the pairs."""
    room = room_of(request)
    config = room.project.config
    response: Response = room.pages.render(
        request,
        "annotate.html",
        person=person,
        queue_name=_queue_name(room.project, person),
        guidelines=config.guidelines,
        asks_strength=config.strength,
        reasons=config.reasons,
    )
    return response


def _queue_name(project: Project, person: Annotator) -> str:
    """The browser's storage key for unsent answers of this person in this project, also after a new link."""
    return hashlib.sha256(f"{project.path.resolve()}\0{person.id}".encode()).hexdigest()[:16]


async def next_pairs(request: Request) -> Response:
    """The pair to answer now, the next one if available, and the progress."""
    turn = await wrap_future(request.app.state.room.store.submit(Desk.turn, request.state.session))
    return _json(
        current=turn.current and assignment_view(turn.current),
        then=turn.then and assignment_view(turn.then),
        progress=progress_view(turn.progress),
    )


async def record(request: Request) -> Response:
    """Save an answer; the reply means that it is on disk. It contains one more pair, to have one prefetched."""
    sent = SentAnswer.model_validate_json(await request.body())
    vote = (Desk.vote, request.state.session, sent.assignment_id, sent.at)
    voted = await wrap_future(request.app.state.room.store.submit(*vote, key=sent.key))
    return _json(
        key=voted.answer.key,
        answer_id=voted.answer.id,
        saved_at=voted.answer.created_at.isoformat(),
        then=voted.then and assignment_view(voted.then),
        progress=progress_view(voted.progress),
    )


often = [Route("/api/next", next_pairs), Route("/api/answers", record, methods=["POST"])]
"""The most frequent routes by far, without the overhead of the others."""


@router.post("/api/undo")
def undo(request: Request, person: Person, sent: SentUndo) -> dict[str, Any]:
    """Take back one's latest answer; the pair is open again. withdrawn: the answer it had."""
    room = room_of(request)
    latest = room.store.history(person.id, 1)
    undone = room.store.undo(person.id, sent.key)
    assignment = undone and room.store.assignment(undone.assignment_id, person.id)
    withdrawn = [item.answer for item in latest if undone and item.answer.id == undone.supersedes]
    return {
        "key": sent.key,
        "assignment": assignment and assignment_view(assignment),
        "withdrawn": answer_view(withdrawn[0], assignment.shown_first) if assignment and withdrawn else None,
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
    """The full text of a truncated view, as written, in pieces."""
    text = text_at(_own(request, person, assignment_id), place)
    if text is None:
        raise HTTPException(404, "there is no such text")
    return {"pieces": pieces(text)}


@router.get("/api/progress")
def progress(request: Request, person: Person) -> dict[str, Any]:
    """One's own progress."""
    return progress_view(room_of(request).store.progress(person.id))


def _json(**reply: Any) -> Response:
    return Response(to_json(reply), media_type="application/json")


def _own(request: Request, person: Annotator, assignment_id: AssignmentId) -> Assignment:
    found: Assignment | None = room_of(request).store.assignment(assignment_id, person.id)
    if found is None:
        raise HTTPException(404, "this pair was not given to you; ask for the next one")
    return found

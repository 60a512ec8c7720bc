"""Adjudication: the admin's page of disagreeing answers, and the verdicts it sends.

The two responses are in an order derived from the task's id, not the file's, and their sources are hidden, so that the
admin is as blind as the annotators.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from penchant.feedback.records import outcome_at, place_of
from penchant.feedback.storing import Disagreement
from penchant.feedback.web.sessions import Admin, room_of

__all__ = ["router"]

router = APIRouter()
NUM_A_PAGE = 20


class SentVerdict(BaseModel):
    """A verdict as the page sends it: a position, not a side."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str = Field(min_length=8, max_length=100)
    task_id: str = Field(min_length=1, max_length=1000)
    outcome: Literal["left", "right", "tie", "both_bad"]
    comment: str = Field("", max_length=10_000)
    seconds: float = Field(0.0, ge=0, le=10_000_000, allow_inf_nan=False)


@router.get("/admin/adjudicate")
def adjudicate(request: Request, person: Admin, page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """Tasks with differing answers, those without a verdict first."""
    room = room_of(request)
    found = sorted(room.store.disagreements(), key=lambda task: task.adjudication is not None)
    first = (page - 1) * NUM_A_PAGE
    response: Response = room.pages.render(
        request,
        "adjudicate.html",
        person=person,
        tasks=[_task_view(task) for task in found[first : first + NUM_A_PAGE]],
        num_tasks=len(found),
        num_open=sum(task.adjudication is None for task in found),
        page=page,
        num_pages=max(1, -(-len(found) // NUM_A_PAGE)),
    )
    return response


@router.post("/api/adjudications")
def record(request: Request, person: Admin, sent: SentVerdict) -> dict[str, Any]:
    """Save a verdict; it supersedes an earlier one."""
    answer = room_of(request).store.adjudicate(
        sent.task_id,
        person.id,
        key=sent.key,
        outcome=outcome_at(sent.outcome, _first_of(sent.task_id)),
        comment=sent.comment,
        seconds=sent.seconds,
    )
    return {"key": answer.key, "saved_at": answer.created_at.isoformat(), "outcome": sent.outcome}


def _first_of(task_id: str) -> str:
    return "ab"[sha256(task_id.encode()).digest()[0] % 2]


def _task_view(task: Disagreement) -> dict[str, Any]:
    first = _first_of(task.task_id)
    left, right = (task.a, task.b) if first == "a" else (task.b, task.a)
    return {
        "id": task.task_id,
        "prompt": task.prompt,
        "left": left,
        "right": right,
        "answers": [(name, place_of(answer.outcome, first), answer) for name, answer in task.answers],
        "verdict": place_of(task.adjudication.outcome, first) if task.adjudication else None,
    }

"""Answers outside the high-volume path: an admin's verdicts, and a person's earlier answers.

Each answer is a new row that may supersede an older one; nothing is changed or deleted.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Answer, Assignment, NewAnswer, Record, Refused, texts_of
from penchant.feedback.storing.people import require
from penchant.feedback.storing.schema import (
    MAX_ID,
    answers,
    assignments,
    insert_row,
    is_current,
    read_answer,
    select_current,
    tasks,
)

__all__ = ["Answered", "adjudicate", "history", "own_assignment"]


class Answered(Record):
    """One line of a person's history."""

    assignment: Assignment
    answer: Answer


def adjudicate(
    connection: Connection, config: ProjectConfig, task_id: str, new: dict[str, Any], now: datetime
) -> Answer:
    """Store an admin's verdict on a task; it supersedes an earlier verdict, whoever gave it. Raises Refused."""
    if require(connection, new["annotator_id"]).role != "admin":
        raise Refused("not_admin", "only an admin can settle a disagreement; ask one")
    if connection.scalar(select(tasks.c.position).where(tasks.c.id == task_id)) is None:
        raise Refused("unknown", f"there is no task {task_id}; reload the page")
    answer = NewAnswer(assignment_id=0, **new)  # validated like any answer, before it has an assignment
    row = connection.execute(select(answers).where(answers.c.key == answer.key)).first()
    if row is not None:
        stored = read_answer(row)
        return answer.model_copy(update={"assignment_id": stored.assignment_id}).require_same(stored)
    answer.check(asks_strength=config.strength, reasons=config.reasons)
    verdict = (assignments.c.task_id == task_id) & (assignments.c.kind == "adjudication")
    earlier = answers.c.assignment_id.in_(select(assignments.c.id).where(verdict))
    supersedes = connection.scalar(select(answers.c.id).where(earlier, is_current()))
    common = {"task_id": task_id, "annotator_id": answer.annotator_id, "created_at": now}
    assignment = common | {"kind": "adjudication", "chosen_by": "adjudication"}
    links = {"assignment_id": insert_row(connection, assignments, assignment), "supersedes": supersedes}
    values = answer.row(too_fast_seconds=0.0) | common | links | {"shown_first": None}
    return Answer(id=insert_row(connection, answers, values), **values)


def own_assignment(connection: Connection, assignment_id: int, annotator_id: int) -> Assignment | None:
    """A person's own assignment, open or not, with its current answer; None for another's."""
    if not 0 < assignment_id <= MAX_ID:
        return None
    query = _with_texts().where(assignments.c.id == assignment_id, assignments.c.annotator_id == annotator_id)
    row = connection.execute(query.where(assignments.c.kind != "adjudication")).first()
    return None if row is None else _assignment(connection, row)


def history(connection: Connection, annotator_id: int, limit: int, before: int | None) -> list[Answered]:
    """A person's current answers, newest first; `before` is the id of the last answer on the previous page.

    Verdicts on others' answers are not included.
    """
    verdict = select(assignments.c.id).where(assignments.c.kind == "adjudication")
    own = select_current().where(answers.c.annotator_id == annotator_id, answers.c.assignment_id.not_in(verdict))
    query = own.order_by(answers.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(answers.c.id < min(before, MAX_ID))
    rows = [read_answer(row) for row in connection.execute(query)]
    wanted = _with_texts().where(assignments.c.id.in_([row.assignment_id for row in rows]))
    of = {row.id: _assignment(connection, row) for row in connection.execute(wanted).all()}
    return [Answered(assignment=of[row.assignment_id], answer=row) for row in rows]


def _with_texts() -> Select[Any]:
    columns = [assignments.c[name] for name in ("id", "task_id", "annotator_id", "kind", "shown_first", "released_at")]
    return select(*columns, tasks.c.prompt, tasks.c.a, tasks.c.b).join(tasks, tasks.c.id == assignments.c.task_id)


def _assignment(connection: Connection, row: Any) -> Assignment:
    answer = connection.execute(select_current().where(answers.c.assignment_id == row.id)).first()
    return Assignment(
        id=row.id,
        task_id=row.task_id,
        shown_first=row.shown_first or "a",  # an imported answer may not say
        answer=None if answer is None else read_answer(answer),
        **texts_of(row),
    )

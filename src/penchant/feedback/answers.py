"""Recording answers: each is a new row that may supersede an older one; nothing is changed and nothing is deleted."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from penchant.feedback.leases import find, lease_again
from penchant.feedback.people import require
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Answer, Answered, NewAnswer, Refused
from penchant.feedback.rows import (
    MAX_ID,
    insert_answer,
    insert_row,
    read_answer,
    read_assignment,
    select_assignment,
    select_current,
)
from penchant.feedback.schema import answers, assignments, is_current, tasks

__all__ = ["adjudicate", "history", "record", "undo"]

SAID = ("outcome", "strength", "reasons", "comment")


def record(connection: Connection, config: ProjectConfig, new: NewAnswer, now: datetime) -> Answer:
    """Store an answer, or return the one that was stored under its key; raises Refused."""
    require(connection, new.annotator_id)
    stored = _by_key(connection, new.key)
    if stored is not None:
        return _the_same(stored, new)
    row = find(connection, new.assignment_id, new.annotator_id)
    if row is None:
        raise Refused("not_yours", "this pair was not given to you; ask for the next one")
    _check_options(config, new)
    if new.outcome == "skip":
        _release(connection, row.id, now)
    else:
        lease_again(connection, config, row, now)
    return insert_answer(
        connection,
        _said(config, new)
        | {
            "assignment_id": row.id,
            "annotator_id": new.annotator_id,
            "task_id": row.task_id,
            "shown_first": row.shown_first,
            "created_at": now,
            "supersedes": _current_id(connection, answers.c.assignment_id == row.id),
        },
    )


def undo(connection: Connection, config: ProjectConfig, annotator_id: int, key: str, now: datetime) -> Answer | None:
    """Withdraw a person's latest current answer, which opens its assignment again; None where there is none."""
    require(connection, annotator_id)
    stored = _by_key(connection, key)
    if stored is not None:
        if stored.annotator_id != annotator_id or stored.outcome != "withdrawn":
            raise Refused("key", "another answer was sent under this key; make a new one")
        return stored
    latest = connection.execute(_own(annotator_id).order_by(answers.c.id.desc()).limit(1)).first()
    if latest is None:
        return None
    answer = read_answer(latest)
    lease_again(connection, config, find(connection, answer.assignment_id, annotator_id), now)
    kept = {name: getattr(answer, name) for name in ("assignment_id", "annotator_id", "task_id", "shown_first")}
    empty = {"key": key, "outcome": "withdrawn", "reasons": [], "comment": "", "flags": []}
    return insert_answer(connection, kept | empty | {"created_at": now, "supersedes": answer.id})


def adjudicate(
    connection: Connection, config: ProjectConfig, task_id: str, new: dict[str, Any], now: datetime
) -> Answer:
    """Store an admin's verdict on a task; it supersedes an earlier verdict, whoever gave it. Raises Refused."""
    if require(connection, new["annotator_id"]).role != "admin":
        raise Refused("not_admin", "only an admin can settle a disagreement; ask one")
    if connection.scalar(select(tasks.c.position).where(tasks.c.id == task_id)) is None:
        raise Refused("unknown", f"there is no task {task_id}; reload the page")
    answer = NewAnswer(assignment_id=0, **new)  # checked like any other answer before it has an assignment
    stored = _by_key(connection, answer.key)
    if stored is not None:
        return _the_same(stored, answer.model_copy(update={"assignment_id": stored.assignment_id}))
    _check_options(config, answer)
    verdicts = select(assignments.c.id).where(assignments.c.task_id == task_id, assignments.c.kind == "adjudication")
    supersedes = _current_id(connection, answers.c.assignment_id.in_(verdicts))
    common = {"task_id": task_id, "annotator_id": answer.annotator_id, "created_at": now}
    assignment = common | {"kind": "adjudication", "chosen_by": "adjudication"}
    assignment_id = insert_row(connection, assignments, assignment)
    values = _said(config, answer) | common | {"assignment_id": assignment_id, "supersedes": supersedes, "flags": []}
    return insert_answer(connection, values)


def history(connection: Connection, annotator_id: int, limit: int, before: int | None) -> list[Answered]:
    """A person's current answers, newest first; `before` is the id of the last answer of the page before."""
    query = _own(annotator_id).order_by(answers.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(answers.c.id < min(before, MAX_ID))
    rows = [read_answer(row) for row in connection.execute(query)]
    wanted = select_assignment().where(assignments.c.id.in_([row.assignment_id for row in rows]))
    of = {row.id: read_assignment(connection, row) for row in connection.execute(wanted).all()}
    return [Answered(assignment=of[row.assignment_id], answer=row) for row in rows]


def _own(annotator_id: int) -> Any:
    """A person's current answers, but for verdicts on the answers of others."""
    verdict = select(assignments.c.id).where(assignments.c.kind == "adjudication")
    return select_current().where(answers.c.annotator_id == annotator_id, answers.c.assignment_id.not_in(verdict))


def _by_key(connection: Connection, key: str) -> Answer | None:
    row = connection.execute(select(answers).where(answers.c.key == key)).first()
    return None if row is None else read_answer(row)


def _the_same(stored: Answer, new: NewAnswer) -> Answer:
    same = all(getattr(stored, name) == getattr(new, name) for name in ("annotator_id", "assignment_id", *SAID))
    if not same:
        raise Refused("key", "another answer was sent under this key; make a new one")
    return stored


def _current_id(connection: Connection, condition: Any) -> int | None:
    """The id of the current answer, a withdrawn one too: a chain has no gap and no fork."""
    return connection.scalar(select(answers.c.id).where(condition, is_current()))


def _check_options(config: ProjectConfig, new: NewAnswer) -> None:
    if new.strength is not None and not config.strength:
        raise Refused("strength", "this project does not ask how much better; leave the strength out")
    unknown = [reason for reason in new.reasons if reason not in config.reasons]
    if unknown:
        raise Refused("reason", f"'{unknown[0]}' is no reason of this project; reload the page")


def _said(config: ProjectConfig, new: NewAnswer) -> dict[str, Any]:
    too_fast = new.outcome != "skip" and new.seconds < config.too_fast_seconds
    return {
        "key": new.key,
        "outcome": new.outcome,
        "strength": new.strength,
        "reasons": list(new.reasons),
        "comment": new.comment,
        "seconds": new.seconds,
        "flags": ["too_fast"] if too_fast else [],
    }


def _release(connection: Connection, assignment_id: int, now: datetime) -> None:
    query = update(assignments).where(assignments.c.id == assignment_id, assignments.c.released_at.is_(None))
    connection.execute(query.values(released_at=now))

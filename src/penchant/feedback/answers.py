"""Recording answers: each is a new row that may supersede an older one; nothing is changed and nothing is deleted."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from penchant.feedback.batch import Batch
from penchant.feedback.board import Given
from penchant.feedback.leases import lease_again, release
from penchant.feedback.people import require
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Answer, Answered, NewAnswer, Refused
from penchant.feedback.rows import (
    MAX_ID,
    insert_row,
    read_answer,
    read_assignment,
    select_assignment,
    select_current,
)
from penchant.feedback.schema import answers, assignments, is_current, tasks

__all__ = ["adjudicate", "history", "record", "undo"]

SAID = ("outcome", "strength", "reasons", "comment")


def record(batch: Batch, config: ProjectConfig, new: NewAnswer, now: datetime) -> Answer:
    """Store an answer, or return the one that was stored under its key; raises Refused."""
    batch.state.require(new.annotator_id)
    stored = batch.by_key(new.key)
    if stored is not None:
        return _the_same(stored, new)
    given = batch.board.assignment(new.assignment_id, new.annotator_id)
    if given is None:
        raise Refused("not_yours", "this pair was not given to you; ask for the next one")
    _check_options(config, new)
    if new.outcome == "skip":
        release(batch, given, now)
    elif given.released_at is not None:
        lease_again(batch, given, now)
    return batch.say(_said(config, new, is_first=given.said.answer_id is None) | _after(given, now))


def undo(batch: Batch, annotator_id: int, key: str, now: datetime) -> Answer | None:
    """Withdraw a person's latest current answer, which opens its assignment again; None where there is none."""
    batch.state.require(annotator_id)
    stored = batch.by_key(key)
    if stored is not None:
        if stored.annotator_id != annotator_id or stored.outcome != "withdrawn":
            raise Refused("key", "another answer was sent under this key; make a new one")
        return stored
    given = batch.board.latest(annotator_id)
    if given is None:
        return None
    lease_again(batch, given, now)
    nothing: dict[str, Any] = {"strength": None, "reasons": [], "comment": "", "seconds": None, "flags": []}
    return batch.say(nothing | {"key": key, "outcome": "withdrawn"} | _after(given, now))


def adjudicate(
    connection: Connection, config: ProjectConfig, task_id: str, new: dict[str, Any], now: datetime
) -> Answer:
    """Store an admin's verdict on a task; it supersedes an earlier verdict, whoever gave it. Raises Refused."""
    if require(connection, new["annotator_id"]).role != "admin":
        raise Refused("not_admin", "only an admin can settle a disagreement; ask one")
    if connection.scalar(select(tasks.c.position).where(tasks.c.id == task_id)) is None:
        raise Refused("unknown", f"there is no task {task_id}; reload the page")
    answer = NewAnswer(assignment_id=0, **new)  # checked like any other answer before it has an assignment
    row = connection.execute(select(answers).where(answers.c.key == answer.key)).first()
    if row is not None:
        stored = read_answer(row)
        return _the_same(stored, answer.model_copy(update={"assignment_id": stored.assignment_id}))
    _check_options(config, answer)
    verdict = (assignments.c.task_id == task_id) & (assignments.c.kind == "adjudication")
    earlier = answers.c.assignment_id.in_(select(assignments.c.id).where(verdict))
    supersedes = connection.scalar(select(answers.c.id).where(earlier, is_current()))
    common = {"task_id": task_id, "annotator_id": answer.annotator_id, "created_at": now}
    assignment = common | {"kind": "adjudication", "chosen_by": "adjudication"}
    links = {"assignment_id": insert_row(connection, assignments, assignment), "supersedes": supersedes}
    values = _said(config, answer, is_first=False) | common | links | {"shown_first": None}
    return Answer(id=insert_row(connection, answers, values), **values)


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


def _the_same(stored: Answer, new: NewAnswer) -> Answer:
    same = all(getattr(stored, name) == getattr(new, name) for name in ("annotator_id", "assignment_id", *SAID))
    if not same:
        raise Refused("key", "another answer was sent under this key; make a new one")
    return stored


def _after(given: Given, now: datetime) -> dict[str, Any]:
    """Ties an answer to its assignment. It supersedes the current one, a withdrawn one too: no gap and no fork."""
    same = {name: getattr(given, name) for name in ("annotator_id", "task_id", "shown_first")}
    return same | {"assignment_id": given.id, "supersedes": given.said.answer_id, "created_at": now}


def _check_options(config: ProjectConfig, new: NewAnswer) -> None:
    if new.strength is not None and not config.strength:
        raise Refused("strength", "this project does not ask how much better; leave the strength out")
    unknown = [reason for reason in new.reasons if reason not in config.reasons]
    if unknown:
        raise Refused("reason", f"'{unknown[0]}' is no reason of this project; reload the page")


def _said(config: ProjectConfig, new: NewAnswer, *, is_first: bool) -> dict[str, Any]:
    """is_first: whether the time says how long the pair was read; what is put right was read before."""
    too_fast = is_first and new.outcome != "skip" and new.seconds < config.too_fast_seconds
    return {
        "key": new.key,
        "outcome": new.outcome,
        "strength": new.strength,
        "reasons": list(new.reasons),
        "comment": new.comment,
        "seconds": new.seconds,
        "flags": ["too_fast"] if too_fast else [],
    }

"""Add comparisons to the store: new tasks, gold tasks, and answers given elsewhere."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from penchant.data.records import Comparison
from penchant.errors import DataError
from penchant.feedback.details import ANSWER_FIELD, UNKNOWN, details_of, fault_of_details
from penchant.feedback.records import Record
from penchant.feedback.storing.people import find_or_add
from penchant.feedback.storing.schema import answers, assignments, insert_row, tasks

__all__ = ["TasksAdded", "add_tasks", "fault", "set_uncertainty"]

MOST_STRENGTH = 4
NAMESPACE = uuid.UUID("5f2f1c5e-3f0a-4c43-9d0b-7f8d1f0f7a11")
TASKS_A_STATEMENT = 500
STORED = select(tasks.c.id, tasks.c.prompt, tasks.c.a, tasks.c.b, tasks.c.gold)


class TasksAdded(Record):
    """The result of adding comparisons: new tasks and answers, known tasks, and refused ones with reasons.

    unread: unread fields of the file, with the number of rows and the first place.
    """

    added: int
    known: int
    answers: int = 0
    refused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def left_out(self, most: int) -> Iterator[str]:
        """What was refused, in words: `most` rows with their reasons, and unread fields."""
        yield from (f"left out: {reason}" for reason in self.refused[:most])
        if len(self.refused) > most:
            yield f"and {len(self.refused) - most} more were left out"
        if self.unread:
            yield f"fields not read: {', '.join(self.unread)}"


def add_tasks(
    connection: Connection, comparisons: Iterable[Comparison], *, origin: str, gold: bool, now: datetime
) -> TasksAdded:
    """Store new comparisons, count existing ones, and refuse invalid ones with a reason."""
    counts: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    refused: list[str] = []
    ids: dict[str, int] = {}
    position = connection.scalar(select(func.max(tasks.c.position))) or 0
    remaining = iter(comparisons)
    while some := list(islice(remaining, TASKS_A_STATEMENT)):
        stored = _stored(connection, some)
        new: list[dict[str, Any]] = []
        taken: list[tuple[Comparison, bool]] = []
        for comparison in some:
            there = stored.get(comparison.id)
            reason = fault(comparison, gold=gold)
            if reason is None:
                row = _task_row(comparison, origin, gold, now)
                reason = _conflict(there, row, gold=gold)
            if reason is not None:
                refused.append(f"{comparison.id}: {reason}")
                continue
            if there is None:
                new.append(row | {"position": position + len(new) + 1})
                stored[comparison.id] = row
            taken.append((comparison, there is None))
        if new:
            connection.execute(insert(tasks), new)
            position += len(new)
        for comparison, is_new in taken:
            is_vote = not gold and comparison.outcome is not None
            has_answered = is_vote and _add_answer(connection, comparison, seen, ids, now)
            counts.update(added=is_new, answers=has_answered, known=not is_new and not has_answered)
    return TasksAdded(added=counts["added"], known=counts["known"], answers=counts["answers"], refused=tuple(refused))


def _stored(connection: Connection, comparisons: Sequence[Comparison]) -> dict[str, dict[str, Any]]:
    """The stored tasks with these ids."""
    ids = {comparison.id for comparison in comparisons if "\x00" not in comparison.id}
    return {row.id: dict(row._mapping) for row in connection.execute(STORED.where(tasks.c.id.in_(ids)))}


def set_uncertainty(connection: Connection, values: Mapping[str, float]) -> int:
    """Set the uncertainty of tasks; returns how many of the ids are tasks."""
    for task_id, value in values.items():
        if not (isinstance(value, int | float) and abs(value) < float("inf")):
            raise DataError(f"the uncertainty of {task_id} must be a finite number, got {value!r}")
    changed = 0
    for task_id, value in values.items():
        changed += connection.execute(update(tasks).where(tasks.c.id == task_id).values(uncertainty=value)).rowcount
    return changed


def fault(comparison: Comparison, *, gold: bool) -> str | None:
    """Why the task cannot be asked, or the answer not stored; None if it is valid."""
    a, b = comparison.a.text.strip(), comparison.b.text.strip()
    faults = {
        "the id is empty; write one": not comparison.id,
        "the id or the annotator holds NUL; write another": "\x00" in comparison.id + (comparison.annotator or ""),
        "the prompt holds no messages; add at least one": not comparison.prompt,
        "a response is empty; write one": not a or not b,
        "a and b are the same text, so there is nothing to compare; remove the row": a == b,
        "a gold task needs the right answer; give its outcome": gold and comparison.outcome is None,
        f"strength must be 1 to 4, got {comparison.strength}; correct it": (comparison.strength or 0) > MOST_STRENGTH,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None) or fault_of_details(comparison)


def _conflict(there: Mapping[str, Any] | None, row: Mapping[str, Any], *, gold: bool) -> str | None:
    """Why the task conflicts with the one stored under its id."""
    if there is None:
        return None
    if any(there[name] != row[name] for name in ("prompt", "a", "b")):
        return (
            "the project has a task with this id but with another prompt or other responses; give this one another id"
        )
    if gold and there["gold"] != row["gold"]:
        known = "without a right answer" if there["gold"] is None else f"with the right answer {there['gold']}"
        return f"the project has the same task {known}; give this gold task another id"
    return None


def _task_row(comparison: Comparison, origin: str, gold: bool, now: datetime) -> dict[str, Any]:
    """A row of tasks, without its position."""
    return {
        "id": comparison.id,
        **comparison.model_dump(mode="json", include={"prompt", "a", "b"}),
        "gold": comparison.outcome if gold else details_of(comparison).gold,
        "origin": origin,
        "created_at": now,
        "meta": {name: value for name, value in comparison.meta.items() if name != ANSWER_FIELD},
    }


def _add_answer(
    connection: Connection, comparison: Comparison, seen: Counter[str], ids: dict[str, int], now: datetime
) -> bool:
    """Store the answer of a comparison unless it exists, with an assignment that records its origin."""
    details = details_of(comparison)
    key = details.key or _made_key(comparison, seen)
    if connection.scalar(select(answers.c.id).where(answers.c.key == key)) is not None:
        return False
    name = comparison.annotator or UNKNOWN
    if name not in ids:
        ids[name] = find_or_add(connection, name, now)
    common = {
        "task_id": comparison.id,
        "annotator_id": ids[name],
        "shown_first": comparison.shown_first,
        "created_at": comparison.created_at or now,
    }
    last = connection.scalar(select(func.max(assignments.c.slot)).where(assignments.c.task_id == comparison.id))
    slot = (0 if last is None else last + 1) if details.kind == "main" else None
    assignment = common | {"slot": slot} | details.model_dump(include={"kind", "chosen_by", "probability"})
    answer = common | {
        "key": key,
        "assignment_id": insert_row(connection, assignments, assignment),
        "outcome": comparison.outcome,
        "strength": comparison.strength,
        **details.model_dump(include={"reasons", "comment", "seconds", "flags"}),
    }
    insert_row(connection, answers, answer)
    return True


def _made_key(comparison: Comparison, seen: Counter[str]) -> str:
    """A reproducible key for a row of a file; equal rows are numbered, so that each is an answer."""
    content = comparison.model_dump_json(exclude={"prompt", "a", "b"})
    seen[content] += 1
    return str(uuid.uuid5(NAMESPACE, json.dumps([content, seen[content]])))

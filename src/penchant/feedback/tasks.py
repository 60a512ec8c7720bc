"""Comparisons into the store: new tasks, gold tasks, and answers that were given elsewhere."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Connection, func, insert, select, update

from penchant.data.records import Comparison
from penchant.errors import DataError
from penchant.feedback.people import UNKNOWN, find_or_add
from penchant.feedback.records import ChosenBy, Kind, TasksAdded
from penchant.feedback.rows import insert_row
from penchant.feedback.schema import answers, assignments, tasks

__all__ = ["ANSWER_FIELD", "add_tasks", "fault", "set_uncertainty"]

ANSWER_FIELD = "answer"
"""The field of a comparison's meta that holds what the store knows of the answer; the rest of meta is the task's."""

MOST_STRENGTH = 4
NAMESPACE = uuid.UUID("5f2f1c5e-3f0a-4c43-9d0b-7f8d1f0f7a11")
STORED = select(tasks.c.prompt, tasks.c.a, tasks.c.b, tasks.c.gold)


def add_tasks(
    connection: Connection, comparisons: Iterable[Comparison], *, origin: str, gold: bool, now: datetime
) -> TasksAdded:
    """Store what is new; what is there already is counted, and what cannot be taken is refused with its reason."""
    counts: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    refused = []
    ids: dict[str, int] = {}
    position = connection.scalar(select(func.max(tasks.c.position))) or 0
    for comparison in comparisons:
        stored = connection.execute(STORED.where(tasks.c.id == comparison.id)).first()
        reason = fault(comparison, gold=gold) or _conflict(stored, comparison, gold)
        if reason:
            refused.append(f"{comparison.id}: {reason}")
            continue
        is_new = stored is None
        if is_new:
            position += 1
            connection.execute(insert(tasks).values(_task_row(comparison, origin, gold, position, now)))
        is_vote = not gold and comparison.outcome is not None
        has_answered = is_vote and _add_answer(connection, comparison, seen, ids, now)
        counts.update(added=is_new, answers=has_answered, known=not is_new and not has_answered)
    return TasksAdded(added=counts["added"], known=counts["known"], answers=counts["answers"], refused=tuple(refused))


def set_uncertainty(connection: Connection, values: Mapping[str, float]) -> int:
    """Set how uncertain tasks are; returns how many of the ids are tasks."""
    for task_id, value in values.items():
        if not (isinstance(value, int | float) and abs(value) < float("inf")):
            raise DataError(f"the uncertainty of {task_id} must be a finite number, got {value!r}")
    changed = 0
    for task_id, value in values.items():
        changed += connection.execute(update(tasks).where(tasks.c.id == task_id).values(uncertainty=value)).rowcount
    return changed


def fault(comparison: Comparison, *, gold: bool) -> str | None:
    """Why nobody could be asked this, or the answer not be stored; None where there is nothing against it."""
    a, b = comparison.a.text.strip(), comparison.b.text.strip()
    faults = {
        "the id is empty; write one": not comparison.id,
        "the id or the annotator holds NUL; write another": "\x00" in comparison.id + (comparison.annotator or ""),
        "the prompt holds no messages; add at least one": not comparison.prompt,
        "a response is empty; write one": not a or not b,
        "a and b are the same text, so there is nothing to compare; remove the row": a == b,
        "a gold task needs the right answer; give its outcome": gold and comparison.outcome is None,
        f"strength goes from 1 to 4, got {comparison.strength}; correct it": (comparison.strength or 0) > MOST_STRENGTH,
    }
    return next((reason for reason, is_so in faults.items() if is_so), None)


def _conflict(stored: Any, comparison: Comparison, gold: bool) -> str | None:
    """Why the task cannot be the one that is stored under its id."""
    if stored is None:
        return None
    if tuple(stored)[:3] != _texts(comparison):
        return "a task of this id is there with another prompt or other responses; give it another id"
    if gold and stored.gold != comparison.outcome:
        there = "without a right answer" if stored.gold is None else f"with the right answer {stored.gold}"
        return f"the same task is there {there}; give the gold one another id"
    return None


def _texts(comparison: Comparison) -> tuple[Any, Any, Any]:
    content = comparison.model_dump(mode="json", include={"prompt", "a", "b"})
    return content["prompt"], content["a"], content["b"]


def _task_row(comparison: Comparison, origin: str, gold: bool, position: int, now: datetime) -> dict[str, Any]:
    prompt, a, b = _texts(comparison)
    known = comparison.outcome if gold else _details(comparison).get("gold")
    return {
        "id": comparison.id,
        "position": position,
        "prompt": prompt,
        "a": a,
        "b": b,
        "gold": known,
        "origin": origin,
        "created_at": now,
        "meta": {name: value for name, value in comparison.meta.items() if name != ANSWER_FIELD},
    }


def _details(comparison: Comparison) -> dict[str, Any]:
    """What an earlier export wrote about the answer; nothing for a comparison from elsewhere."""
    details = comparison.meta.get(ANSWER_FIELD)
    return details if isinstance(details, dict) else {}


def _add_answer(
    connection: Connection, comparison: Comparison, seen: Counter[str], ids: dict[str, int], now: datetime
) -> bool:
    """Store the answer of a comparison unless it is there; with an assignment that says where it came from."""
    details = _details(comparison)
    key = details.get("key") or _made_key(comparison, seen)
    if connection.scalar(select(answers.c.id).where(answers.c.key == key)) is not None:
        return False
    kind = details.get("kind") if details.get("kind") in get_args(Kind) else "main"
    chosen_by = details.get("chosen_by") if details.get("chosen_by") in get_args(ChosenBy) else "import"
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
    slot = (0 if last is None else last + 1) if kind == "main" else None
    assignment = common | {
        "kind": kind,
        "slot": slot,
        "chosen_by": chosen_by,
        "probability": details.get("probability"),
    }
    answer = common | {
        "key": key,
        "assignment_id": insert_row(connection, assignments, assignment),
        "outcome": comparison.outcome,
        "strength": comparison.strength,
        "reasons": details.get("reasons", []),
        "comment": details.get("comment", ""),
        "seconds": details.get("seconds"),
        "flags": details.get("flags", []),
    }
    insert_row(connection, answers, answer)
    return True


def _made_key(comparison: Comparison, seen: Counter[str]) -> str:
    """The same row of the same file gets the same key each time; equal rows are counted, so that each is an answer."""
    content = comparison.model_dump_json(exclude={"prompt", "a", "b"})
    seen[content] += 1
    return str(uuid.uuid5(NAMESPACE, json.dumps([content, seen[content]])))

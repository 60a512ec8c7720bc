"""Rows of the database as records, and the few conditions that several queries share."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, exists, insert, select

from penchant.data.records import Message
from penchant.feedback.records import Answer, Assignment
from penchant.feedback.schema import answers, assignments, is_current, tasks

__all__ = [
    "MAX_ID",
    "has_answer",
    "insert_row",
    "read_answer",
    "read_assignment",
    "select_assignment",
    "select_current",
    "texts_of",
]

MAX_ID = 2**31 - 1
"""Of both databases; a larger number from outside is nobody's."""

_held = answers.alias("held")


def has_answer(table: FromClause = assignments) -> ColumnElement[bool]:
    """The condition on assignments, or an alias, that one has a current answer; a skip is one, a withdrawn is none."""
    held = select(1).where(_held.c.assignment_id == table.c.id, _held.c.outcome != "withdrawn", is_current(_held))
    return exists(held)


def select_assignment() -> Select[Any]:
    """Assignments with the texts of their tasks."""
    columns = [assignments.c[name] for name in ("id", "task_id", "annotator_id", "kind", "shown_first", "released_at")]
    return select(*columns, tasks.c.prompt, tasks.c.a, tasks.c.b).join(tasks, tasks.c.id == assignments.c.task_id)


def select_current() -> Select[Any]:
    """Current answers that are not withdrawn."""
    return select(answers).where(answers.c.outcome != "withdrawn", is_current())


def read_answer(row: Any) -> Answer:
    """A row that has all columns of answers."""
    return Answer(**{name: row._mapping[answers.c[name]] for name in Answer.model_fields})


def read_assignment(connection: Connection, row: Any) -> Assignment:
    """A row of `select_assignment`, with its current answer."""
    answer = connection.execute(select_current().where(answers.c.assignment_id == row.id)).first()
    return Assignment(
        id=row.id,
        task_id=row.task_id,
        shown_first=row.shown_first or "a",  # an imported answer may not say
        answer=None if answer is None else read_answer(answer),
        **texts_of(row),
    )


def texts_of(row: Any) -> dict[str, Any]:
    """prompt, a and b of a task as texts, the sources left out."""
    prompt = tuple(Message.model_validate(message) for message in row.prompt)
    return {"prompt": prompt, "a": row.a["text"], "b": row.b["text"]}


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Store a row of a table whose ids are numbers; returns its id."""
    key = connection.execute(insert(table), values).inserted_primary_key
    assert key is not None, "both databases return the key of a row"
    return int(key[0])

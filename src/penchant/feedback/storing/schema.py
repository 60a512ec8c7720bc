"""The tables, for both SQLite and PostgreSQL, and the parts shared by many queries.

Tasks and answers are only ever added. A change or an undo is a new answer that supersedes an older
one; the current answer is the one that nothing supersedes. An assignment is a lease: `released_at` gives its slot back.

Each insert and update of a task, a person or an assignment renumbers the row in `changed`, higher than any before: a
reader up to a number finds later changes by an index.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    exists,
    insert,
    literal_column,
    select,
    text,
)

from penchant.feedback.records import Answer
from penchant.feedback.storing.database import UtcTime

__all__ = [
    "CHAT",
    "DECIDED",
    "MAX_ID",
    "annotators",
    "answers",
    "assignments",
    "has_answer",
    "insert_row",
    "is_current",
    "metadata",
    "read_answer",
    "select_current",
    "tasks",
]

CHAT = "chat"
"""The origin of chat tasks: if one answer per pair is wanted, nobody else is asked about them."""
MAX_ID = 2**31 - 1
"""The largest id of both databases; a larger number from outside is invalid."""
DECIDED = ("a", "b", "tie", "both_bad")
"""The outcomes that judge the pair."""


def _changed(table: str) -> Column[int]:
    following: ColumnElement[int] = literal_column(f"(SELECT coalesce(max(changed), 0) + 1 FROM {table})")
    return Column("changed", BigInteger, nullable=False, default=following, onupdate=following, server_default="0")


metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False, unique=True),
    Column("prompt", JSON, nullable=False),
    Column("a", JSON, nullable=False),
    Column("b", JSON, nullable=False),
    Column("gold", String(10)),
    Column("uncertainty", Float),
    Column("origin", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("meta", JSON, nullable=False),
    _changed("tasks"),
    CheckConstraint("gold IN ('a', 'b', 'tie', 'both_bad')", name="gold_is_an_outcome"),
    Index("tasks_to_ask", "gold", "position", "id", "uncertainty"),  # found without reading the texts
    Index("changes_of_tasks", "changed"),
)

annotators = Table(
    "annotators",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("token_hash", String(64), unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    _changed("annotators"),
    CheckConstraint("role IN ('annotator', 'admin')", name="role_is_known"),
    Index("changes_of_annotators", "changed"),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("task_id", ForeignKey("tasks.id"), nullable=False),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("slot", Integer),
    Column("shown_first", String(1)),
    Column("chosen_by", String(12), nullable=False),
    Column("probability", Float),
    Column("created_at", UtcTime, nullable=False),
    Column("released_at", UtcTime),
    Column("renewed_at", UtcTime),
    _changed("assignments"),
    CheckConstraint("kind IN ('main', 'gold', 'repeat', 'adjudication')", name="kind_is_known"),
    CheckConstraint("(kind = 'main') = (slot IS NOT NULL)", name="main_has_a_slot"),
    CheckConstraint("shown_first IN ('a', 'b')", name="a_side_is_first"),
    CheckConstraint("probability > 0 AND probability <= 1.000001", name="probability_is_one"),
    Index("assignments_of_task", "task_id"),
    Index("assignments_of_annotator", "annotator_id"),
    Index("changes_of_assignments", "changed"),
)

LIVE_MAIN = text("kind = 'main' AND released_at IS NULL")
Index(
    "one_live_assignment_a_slot",
    assignments.c.task_id,
    assignments.c.slot,
    unique=True,
    sqlite_where=LIVE_MAIN,
    postgresql_where=LIVE_MAIN,
)

answers = Table(
    "answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(100), nullable=False, unique=True),
    Column("assignment_id", ForeignKey("assignments.id"), nullable=False),
    Column("annotator_id", ForeignKey("annotators.id"), nullable=False),
    Column("task_id", ForeignKey("tasks.id"), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("strength", Integer),
    Column("reasons", JSON, nullable=False),
    Column("comment", Text, nullable=False),
    Column("shown_first", String(1)),
    Column("seconds", Float),
    Column("flags", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("supersedes", ForeignKey("answers.id"), unique=True),
    CheckConstraint("outcome IN ('a', 'b', 'tie', 'both_bad', 'skip', 'withdrawn')", name="outcome_is_known"),
    CheckConstraint("strength BETWEEN 1 AND 4", name="strength_is_a_level"),
    Index("answers_of_assignment", "assignment_id"),
    Index("answers_of_annotator", "annotator_id"),
    Index("answers_of_task", "task_id"),
    sqlite_autoincrement=True,
)

_later, _held = answers.alias("later"), answers.alias("held")


def is_current(table: FromClause = answers) -> ColumnElement[bool]:
    """The condition on answers, or an alias of them, that an answer is not superseded."""
    return ~exists(select(1).where(_later.c.supersedes == table.c.id))


def select_current() -> Select[Any]:
    """Select current answers that are not withdrawn."""
    return select(answers).where(answers.c.outcome != "withdrawn", is_current())


def has_answer() -> ColumnElement[bool]:
    """The condition on assignments of having a current answer; a skip counts, a withdrawn one does not."""
    held = select(1).where(_held.c.assignment_id == assignments.c.id, _held.c.outcome != "withdrawn")
    return exists(held.where(is_current(_held)))


def read_answer(row: Any) -> Answer:
    """Read an answer from a row with all columns of answers."""
    return Answer(**{name: row._mapping[answers.c[name]] for name in Answer.model_fields})


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Insert a row into a table with numeric ids; returns its id."""
    key = connection.execute(insert(table), values).inserted_primary_key
    assert key is not None, "both databases return the key of a row"
    return int(key[0])

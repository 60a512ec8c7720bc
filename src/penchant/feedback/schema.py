"""The tables, for SQLite and PostgreSQL alike.

Tasks and answers are only ever added. A change or an undo is a new answer that supersedes an older
one; the current answer is the one that nothing supersedes. An assignment is a lease: `released_at` gives its slot back.

Each insert and update of a task, a person or an assignment numbers the row anew in `changed`, higher than any before:
who has read the tables up to a number finds by an index what is new since.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    exists,
    literal_column,
    select,
    text,
)
from sqlalchemy.types import TypeDecorator

__all__ = ["annotators", "answers", "assignments", "is_current", "metadata", "tasks"]


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes, stored as UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return self.process_result_value(value, dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


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

_later = answers.alias("later")


def is_current(table: FromClause = answers) -> ColumnElement[bool]:
    """The condition on answers, or an alias of them, that nothing supersedes one."""
    return ~exists(select(1).where(_later.c.supersedes == table.c.id))

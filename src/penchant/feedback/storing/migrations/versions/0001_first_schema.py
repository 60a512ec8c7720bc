"""Tasks, annotators, assignments and answers.

The tables are spelt out here instead of imported from the schema, because a revision must not change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False, unique=True),
        sa.Column("prompt", sa.JSON, nullable=False),
        sa.Column("a", sa.JSON, nullable=False),
        sa.Column("b", sa.JSON, nullable=False),
        sa.Column("gold", sa.String(10)),
        sa.Column("uncertainty", sa.Float),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("meta", sa.JSON, nullable=False),
        sa.CheckConstraint("gold IN ('a', 'b', 'tie', 'both_bad')", name="gold_is_an_outcome"),
    )
    op.create_index("tasks_to_ask", "tasks", ["gold", "position", "id", "uncertainty"])
    op.create_table(
        "annotators",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("token_hash", sa.String(64), unique=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("disabled_at", time),
        sa.CheckConstraint("role IN ('annotator', 'admin')", name="role_is_known"),
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("annotator_id", sa.Integer, sa.ForeignKey("annotators.id"), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("slot", sa.Integer),
        sa.Column("shown_first", sa.String(1)),
        sa.Column("chosen_by", sa.String(12), nullable=False),
        sa.Column("probability", sa.Float),
        sa.Column("created_at", time, nullable=False),
        sa.Column("released_at", time),
        sa.CheckConstraint("kind IN ('main', 'gold', 'repeat', 'adjudication')", name="kind_is_known"),
        sa.CheckConstraint("(kind = 'main') = (slot IS NOT NULL)", name="main_has_a_slot"),
        sa.CheckConstraint("shown_first IN ('a', 'b')", name="a_side_is_first"),
        sa.CheckConstraint("probability > 0 AND probability <= 1.000001", name="probability_is_one"),
    )
    op.create_index("assignments_of_task", "assignments", ["task_id"])
    op.create_index("assignments_of_annotator", "assignments", ["annotator_id"])
    live = sa.text("kind = 'main' AND released_at IS NULL")
    op.create_index(
        "one_live_assignment_a_slot",
        "assignments",
        ["task_id", "slot"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(100), nullable=False, unique=True),
        sa.Column("assignment_id", sa.Integer, sa.ForeignKey("assignments.id"), nullable=False),
        sa.Column("annotator_id", sa.Integer, sa.ForeignKey("annotators.id"), nullable=False),
        sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("strength", sa.Integer),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("shown_first", sa.String(1)),
        sa.Column("seconds", sa.Float),
        sa.Column("flags", sa.JSON, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("supersedes", sa.Integer, sa.ForeignKey("answers.id"), unique=True),
        sa.CheckConstraint("outcome IN ('a', 'b', 'tie', 'both_bad', 'skip', 'withdrawn')", name="outcome_is_known"),
        sa.CheckConstraint("strength BETWEEN 1 AND 4", name="strength_is_a_level"),
        sqlite_autoincrement=True,
    )
    for column in ("assignment", "annotator", "task"):
        op.create_index(f"answers_of_{column}", "answers", [f"{column}_id"])

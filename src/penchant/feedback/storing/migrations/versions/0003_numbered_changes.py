"""Each change to a task, a person or an assignment is numbered, so that whoever has read them reads what is new."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """What is there already has number 0."""
    for table in ("tasks", "annotators", "assignments"):
        op.add_column(table, sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"))
        op.create_index(f"changes_of_{table}", table, ["changed"])

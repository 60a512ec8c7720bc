"""Each change to a task, a person or an assignment is numbered, so that readers can fetch only what is new."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Existing rows have number 0."""
    for table in ("tasks", "annotators", "assignments"):
        op.add_column(table, sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"))
        op.create_index(f"changes_of_{table}", table, ["changed"])

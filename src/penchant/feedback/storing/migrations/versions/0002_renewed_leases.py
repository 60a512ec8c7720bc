"""Showing an open assignment to its person again renews its lease."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Null means: not renewed since it was created."""
    op.add_column("assignments", sa.Column("renewed_at", sa.DateTime(timezone=True)))

"""Schema migrations, run by alembic when a store is opened."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from penchant.errors import DataError

__all__ = ["configuration", "upgrade"]


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for an open connection, without a config file."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection, name: str) -> None:
    """Bring the database to the newest schema within the connection's transaction.

    Raises DataError for a database written by a newer version; `name` names it in the message.
    """
    config = configuration(connection)
    script = ScriptDirectory.from_config(config)
    current, head = MigrationContext.configure(connection).get_current_revision(), script.get_current_head()
    if current == head:
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise DataError(
            f"{name}: written by a newer Penchant (schema {current}, this one knows {head}); update Penchant to open it"
        )
    command.upgrade(config, "head")

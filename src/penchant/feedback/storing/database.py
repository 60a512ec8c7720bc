"""The differences between SQLite and PostgreSQL: connections, and how to have one writer at a time.

SQLite writes through one connection behind a lock, in BEGIN IMMEDIATE, with a rollback journal and synchronous=EXTRA: a
commit that returned is on disk, and so is the end of its journal, which after a power cut could otherwise come back
and undo it. Reads use their own read-only connections. PostgreSQL writes in ordinary transactions that hold an advisory
lock, so that a choice sees every earlier choice; the schema's unique constraints protect both. SQLite drops the zone of
a time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.types import TypeDecorator

from penchant.errors import ConfigError, DataError
from penchant.extras import install
from penchant.files import create_private, keep_private
from penchant.wording import reason_of

__all__ = ["Database", "UtcTime", "new_ids"]

BUSY_SECONDS = 30
SYNCHRONOUS = "EXTRA"
ADVISORY_LOCK = 0x50454E43  # any number, the same in every process; advisory locks are per database


class Database:
    """Transactions for reading and writing.

    Raises ConfigError for a URL that cannot be opened, and DataError if it is no database;
    passwords are not shown.
    """

    def __init__(self, url: str | URL) -> None:
        try:
            self.url: URL = make_url(url)
        except ArgumentError:
            raise ConfigError(
                "database: not a database URL; write one such as postgresql+psycopg://user@host/name"
            ) from None
        shown = self.url.render_as_string(hide_password=True)
        self.name = (self.url.database or shown) if self._is_sqlite else shown
        if self.url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"database: {self.name} is of a kind that is not supported; use sqlite or postgresql+psycopg"
            )
        self._lock = threading.RLock() if self._is_sqlite else None
        self._writer, self._reader = self._engines()

    def close(self) -> None:
        """Close every connection."""
        for engine in {self._writer, self._reader}:
            engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction with a consistent view of the database."""
        with self._translated(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The only write transaction at a time; committed on leaving, rolled back by an exception."""
        with self._translated():
            if self._lock is not None:
                with self._lock, self._writer.begin() as connection:
                    yield connection
            else:
                with self._writer.begin() as connection:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
                    yield connection

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _engines(self) -> tuple[Engine, Engine]:
        try:
            if not self._is_sqlite:
                engine = create_engine(self.url, pool_pre_ping=True, pool_size=10, max_overflow=20)
                return engine, engine
            _keep_file_private(self.url)
            options: dict[str, Any] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
            writer = create_engine(self.url, poolclass=StaticPool, connect_args=options)
            reader = create_engine(self.url, poolclass=QueuePool, max_overflow=50, connect_args=options)
        except (NoSuchModuleError, ImportError) as error:
            raise ConfigError(
                f"database: {self.name} needs a driver that is not installed ({reason_of(error)}); "
                f"{install('postgresql')} and write postgresql+psycopg://..."
            ) from error
        _prepare_sqlite(writer, "BEGIN IMMEDIATE", read_only=False)
        _prepare_sqlite(reader, "BEGIN", read_only=True)
        return writer, reader

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Convert errors of the database to user errors; a violated constraint remains a bug."""
        try:
            yield
        except DatabaseError as error:
            reason = reason_of(error.orig or error)
            if "not a database" in reason or "malformed" in reason:
                raise DataError(
                    f"{self.name}: not a database that can be read ({reason}); restore it from a copy"
                ) from error
            if type(error).__name__ == "OperationalError":
                raise ConfigError(
                    f"{self.name}: the database cannot be used ({reason}); check that it is there, "
                    "that it can be written, and that nobody holds it locked"
                ) from error
            raise


def new_ids(connection: Connection, table: str, num: int) -> Iterator[int]:
    """Yield ids for new rows, ascending and higher than all before, fetched `num` at a time.

    They are unique while this transaction writes.
    """
    given = 0
    while True:
        if connection.dialect.name == "postgresql":
            query = "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :num)"
            ids = sorted(connection.scalars(text(query), {"table": table, "num": num}))
        else:
            last = connection.exec_driver_sql(f"SELECT coalesce(max(id), 0) FROM {table}").scalar_one()
            first = max(last, given) + 1  # ids already given may not be stored yet
            ids = list(range(first, first + num))
        yield from ids
        given = ids[-1]


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes, stored as UTC; SQLite drops the zone, so it is restored on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return self.process_result_value(value, dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)


def _keep_file_private(url: URL) -> None:
    """Make SQLite's files readable by their owner only; a new journal inherits the mode."""
    if not url.database or url.database.startswith((":memory:", "file:")):
        return
    with suppress(OSError):  # it exists, or SQLite will report the error
        create_private(Path(url.database), "")
    for end in ("", "-journal", "-wal", "-shm"):
        keep_private(Path(url.database + end))


def _prepare_sqlite(engine: Engine, begin: str, *, read_only: bool) -> None:
    """Begin transactions ourselves: the driver begins them late, and never IMMEDIATE."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        pragmas = ["foreign_keys=ON", f"synchronous={SYNCHRONOUS}", f"query_only={'ON' if read_only else 'OFF'}"]
        if not read_only:
            pragmas.insert(0, "journal_mode=DELETE")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

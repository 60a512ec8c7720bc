"""Annotators and their access tokens; only the hash of a token is stored."""

import secrets
from datetime import datetime

from sqlalchemy import Connection, select, update

from penchant.errors import ConfigError
from penchant.feedback.asking import hashed, require_enabled
from penchant.feedback.details import UNKNOWN
from penchant.feedback.records import Annotator, Invitation, Role
from penchant.feedback.storing.schema import annotators, assignments, has_answer, insert_row

__all__ = [
    "OWNER_NAME",
    "all_annotators",
    "disable",
    "enabled_annotator",
    "find_or_add",
    "invite",
    "require",
]

OWNER_NAME = "me"
"""The person who starts `penchant annotate`, who has its link and no invitation."""

MAX_NAME = 100
COLUMNS = [annotators.c[name] for name in Annotator.model_fields]


def invite(connection: Connection, name: str, role: Role, now: datetime) -> Invitation:
    """Add a person, or give an existing one a new token: the old one stops working, a disabled person is enabled."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable() or name == UNKNOWN:
        raise ConfigError(
            f"a name must be 1 to {MAX_NAME} printable characters, and not {UNKNOWN}, got {name!r}; choose another"
        )
    if role not in ("annotator", "admin"):
        raise ConfigError(f"a role must be annotator or admin, got {role!r}; choose one of them")
    annotator_id = find_or_add(connection, name, now)
    token = secrets.token_urlsafe(32)
    connection.execute(
        update(annotators)
        .where(annotators.c.id == annotator_id)
        .values(role=role, token_hash=hashed(token), disabled_at=None)
    )
    return Invitation(annotator=_read(connection, annotator_id), token=token)


def enabled_annotator(connection: Connection, who: str | int) -> Annotator | None:
    """The enabled person with a token or id; tokens are looked up by hash, so timing reveals nothing."""
    is_it = annotators.c.id == who if isinstance(who, int) else annotators.c.token_hash == hashed(who)
    row = connection.execute(select(*COLUMNS).where(is_it)).first()
    return None if row is None or row.disabled_at is not None else Annotator(**row._mapping)


def all_annotators(connection: Connection) -> list[Annotator]:
    """All annotators, in order of creation, including those of imported answers."""
    rows = connection.execute(select(*COLUMNS).order_by(annotators.c.id))
    return [Annotator(**row._mapping) for row in rows]


def disable(connection: Connection, annotator_id: int, now: datetime) -> None:
    """Disable a person; their open pairs are released to others, their answers stay."""
    if _read(connection, annotator_id).disabled_at is not None:
        return
    connection.execute(update(annotators).where(annotators.c.id == annotator_id).values(disabled_at=now))
    connection.execute(
        update(assignments)
        .where(assignments.c.annotator_id == annotator_id, assignments.c.released_at.is_(None), ~has_answer())
        .values(released_at=now)
    )


def require(connection: Connection, annotator_id: int) -> Annotator:
    """The person; raises Refused if unknown or disabled."""
    return require_enabled(_find(connection, annotator_id), annotator_id)


def find_or_add(connection: Connection, name: str, now: datetime) -> int:
    """The id of the person with this name, added without a token if necessary."""
    found = connection.scalar(select(annotators.c.id).where(annotators.c.name == name))
    if found is not None:
        return int(found)
    row = {"name": name, "role": "annotator", "created_at": now}
    return insert_row(connection, annotators, row)


def _read(connection: Connection, annotator_id: int) -> Annotator:
    found = _find(connection, annotator_id)
    return require_enabled(None, annotator_id) if found is None else found


def _find(connection: Connection, annotator_id: int) -> Annotator | None:
    row = connection.execute(select(*COLUMNS).where(annotators.c.id == annotator_id)).first()
    return None if row is None else Annotator(**row._mapping)

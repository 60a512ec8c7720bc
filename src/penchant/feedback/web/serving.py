"""What a project's folder knows of its server: the owner's token, and where it listens now."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.errors import OutputError
from penchant.files import create_private, keep_private
from penchant.listening import TOKEN, token_of

__all__ = ["TOKEN_NAME", "announced", "read_token", "where_it_serves"]

TOKEN_NAME = "owner.token"
ANNOUNCED = "serving.json"


def read_token(folder: Path, given: str | None) -> str:
    """The owner's token: the one given, a fresh one for "new", else the one kept in the project folder.

    Raises ConfigError for one that is too short or has other characters, OutputError where none can be kept.
    """
    if given is not None:
        return token_of(given)
    file = folder / TOKEN_NAME
    try:
        if file.is_file() and TOKEN.fullmatch(kept := file.read_text(encoding="ascii", errors="replace").strip()):
            keep_private(file)
            return kept
        token = secrets.token_urlsafe(32)
        file.unlink(missing_ok=True)
        create_private(file, token + "\n")
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}); check the folder's permissions") from error
    return token


@contextmanager
def announced(folder: Path, base: str, listening: socket.socket) -> Iterator[None]:
    """While inside, `where_it_serves` knows where this project can be opened."""
    file = folder / ANNOUNCED
    file.write_text(json.dumps({"base": base, "listens": list(listening.getsockname()[:2])}), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def where_it_serves(folder: Path) -> str | None:
    """What links to the project begin with, where a server of it runs; one that was killed leaves only its file."""
    try:
        found = json.loads((folder / ANNOUNCED).read_text(encoding="utf-8"))
        socket.create_connection(tuple(found["listens"]), timeout=1).close()
        return str(found["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

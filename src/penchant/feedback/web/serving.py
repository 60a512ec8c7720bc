"""The state of a project's server in its folder: the owner's token, and its current address."""

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
    """The owner's token: the one given, a fresh one for "new", else the one stored in the project folder.

    Raises ConfigError for one that is too short or has invalid characters, OutputError if none can be stored.
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
    """A context in which `where_it_serves` returns this project's address."""
    file = folder / ANNOUNCED
    file.write_text(json.dumps({"base": base, "listens": list(listening.getsockname()[:2])}), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def where_it_serves(folder: Path) -> str | None:
    """The prefix of the project's links if its server is running; a killed one leaves only its file."""
    try:
        found = json.loads((folder / ANNOUNCED).read_text(encoding="utf-8"))
        socket.create_connection(tuple(found["listens"]), timeout=1).close()
        return str(found["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

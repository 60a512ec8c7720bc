"""Files readable only by their owner: annotators, answers, and database passwords."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["create_private", "keep_private"]

MODE = 0o600


def create_private(file: Path, text: str) -> None:
    """Write a new file that nobody else can read, whatever the umask. Raises FileExistsError, OSError."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), MODE)
        stream.write(text)


def keep_private(file: Path) -> None:
    """Make an existing file readable only by its owner; another user's file is unchanged."""
    with suppress(FileNotFoundError, PermissionError):
        if file.stat().st_mode & 0o077:
            file.chmod(MODE)

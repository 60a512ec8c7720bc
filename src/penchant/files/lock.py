"""One process at a time: a lock that the system frees when its holder ends, however it ends.

The lock is `flock` on a dedicated file. Its holder removes the file before releasing it, so a process that gets a lock
checks that the locked file is still the one at its path, and retries otherwise. Without Python's fcntl (Windows), or on
file systems without locks, nothing is locked.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from penchant.errors import OutputError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "alone_in", "exclusive"]

LOCK = ".lock"
"""The name of a folder's lock file."""


@contextmanager
def exclusive(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock file `path`, in an existing folder. Raises OutputError with `refusal` if another process holds it.

    After a kill -9 the file remains but locks nothing. Raises OSError if it cannot be made.
    """
    if fcntl is None:
        yield
        return
    with _locked(path, refusal) as file:
        try:
            yield
        finally:
            if _is_at(file, path):  # else somebody removed it, and it may be another's by now
                path.unlink()


@contextmanager
def alone_in(folder: Path, work: str, *, option: str = "another folder") -> Iterator[None]:
    """Create the folder and hold its lock; at the end, created folders that are still empty are removed.

    work: the command at work, for messages. Raises OutputError if another process holds the folder, or it cannot be
    created; `option` is the argument to change then.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except FileExistsError as error:
        raise OutputError(f"{folder}: is a file; {work} needs a folder of its own; choose {option}") from error
    except OSError as error:
        _remove_empty(made)
        raise OutputError(f"{folder}: {work} cannot write here ({error.strerror}); choose {option}") from error
    try:
        with exclusive(folder / LOCK, f"{folder}: another {work} is at work in this folder; wait until it ends"):
            yield
    finally:
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    """Remove empty folders, innermost first; non-empty ones and their parents stay."""
    try:
        for folder in folders:
            folder.rmdir()
    except OSError:
        return


def _locked(path: Path, refusal: str) -> TextIO:
    while True:
        with contextlib.ExitStack() as if_not_ours:
            file = if_not_ours.enter_context(path.open("a", encoding="utf-8"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(refusal) from None
            except OSError:  # no locks in this file system
                pass
            if _is_at(file, path):
                if_not_ours.pop_all()
                return file


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False

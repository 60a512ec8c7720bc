"""One `penchant round` at a time in a folder: a second is refused, as two would write over each other's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.errors import OutputError
from penchant.evaluation.exclusive import exclusive

__all__ = ["LOCK", "alone_in"]

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock; where no round has begun at the end, nothing that was made here is left.

    Raises OutputError where another command holds it, or nothing can be made there.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except FileExistsError as error:
        raise OutputError(f"{folder}: is a file; rounds need a folder of their own") from error
    except OSError as error:
        _remove_empty(made)
        raise OutputError(f"{folder}: cannot hold rounds ({error.strerror}); choose another folder") from error
    try:
        with exclusive(folder / LOCK, f"{folder}: another `penchant round` is at work here; wait for it"):
            yield
    finally:
        if not (folder / "round-1").exists():
            _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    """Inner ones first; one that holds something stays, and so do those around it."""
    try:
        for folder in folders:
            folder.rmdir()
    except OSError:
        return

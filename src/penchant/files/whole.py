"""Files written whole or not at all, and what a disk refuses said in one sentence."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from penchant.errors import OutputError
from penchant.wording import SPELT_OUT

__all__ = ["SCRATCH", "disk_errors_explained", "replacing", "sync_file", "sync_folder", "write_atomically"]

SCRATCH = ".*.writing"
"""What files are called, as a pattern, until they are whole; one that is left over was never used."""

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
"""A folder that is forbidden, or that cannot be made."""


@contextmanager
def disk_errors_explained(
    path: Path, *, again: str = "go on with `resume=True`", elsewhere: str = "choose another `output=...`"
) -> Iterator[None]:
    """Turn a full disk, a forbidden folder or one that cannot be made into an OutputError.

    again: what to do once there is space. elsewhere: how to name another place.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _os_error_number(error)
        if number in FULL:
            raise OutputError(
                f"{path}: the disk is full; free some space and {again}, nothing half-written is used"
            ) from error
        if number in REFUSED:
            raise OutputError(f"{path}: cannot be written to ({os.strerror(number)}); {elsewhere}") from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A scratch file that becomes `path` at the end; where that fails, `path` stays as it was and no scratch is left.

    What is written must be on disk before the block ends: only the writer knows its file.
    """
    scratch = path.with_name(f".{path.name}.writing")
    try:
        yield scratch
        os.replace(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part. Raises OSError."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", errors=SPELT_OUT)
        sync_file(scratch)
    sync_folder(path.parent)


def sync_file(file: Path) -> None:
    """Have what was written to a file on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _os_error_number(error: SafetensorError) -> int | None:
    """The safetensors library reports the system's errors as text: "... (os error 28)"."""
    found = re.search(r"os error (\d+)", str(error))
    return int(found.group(1)) if found else None

"""Write files and folders atomically, and report disk errors in one sentence."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from penchant.errors import OutputError
from penchant.wording import SPELT_OUT

__all__ = [
    "SCRATCH",
    "append_whole",
    "disk_errors_explained",
    "put_in_place",
    "remove_scratch",
    "replacing",
    "replacing_folder",
    "sync_file",
    "sync_folder",
    "write_atomically",
    "writing",
]

SCRATCH = ".*.writing"
"""The name pattern of incomplete files; leftovers were never used."""
ASIDE = ".old.writing"
"""The ending of a folder set aside while another takes its name; it gets its name back if there is no other."""

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
    path: Path, *, again: str = "continue with `resume=True`", elsewhere: str = "choose another `output=...`"
) -> Iterator[None]:
    """Turn a full disk, a forbidden folder, or one that cannot be created, into an OutputError.

    again: what to do once there is space. elsewhere: how to choose another path.
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
    """A context with a temporary file that replaces `path` at the end; on failure `path` is unchanged.

    For libraries that write by file name; it must be synced in the block (`sync_file`). Otherwise use `writing`.
    """
    scratch = path.with_name(f".{path.name}.writing")
    try:
        yield scratch
        put_in_place(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def put_in_place(scratch: Path, path: Path) -> None:
    """Replace `path` by a finished, synced file in the same folder, durably.

    For a file that grows for a long time; otherwise use `replacing` or `writing`. Raises OSError.
    """
    os.replace(scratch, path)
    sync_folder(path.parent)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A context with a stream whose content replaces `path` at the end; a reader sees the old or the new."""
    with replacing(path) as scratch, scratch.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part. Raises OSError."""
    with writing(path) as stream:
        stream.write(text.encode("utf-8", SPELT_OUT))


def append_whole(path: Path, text: str) -> None:
    """Append to a file and sync it; if this is interrupted, nothing is appended.

    Only one process may write there: on failure, another's appended data would be cut off too. Raises OSError.
    """
    end = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as stream:
            stream.write(text.encode("utf-8", SPELT_OUT))
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:  # Ctrl-C too: later appends after a partial line would be lost with it
        with suppress(OSError):
            os.truncate(path, end)
        raise


@contextmanager
def replacing_folder(path: Path, *, scratch: Path | None = None, last: str = "") -> Iterator[Path]:
    """A context with a temporary folder that replaces `path` at the end, synced; on failure `path` is unchanged.

    An existing folder is set aside, and removed once the new one has its name; a process killed between the two leaves
    it to `remove_scratch`, or to the next replacement.

    scratch: its path; leftovers of a killed process there are removed. last: endings of files to move last if `path` is
    an existing empty folder, which is filled rather than replaced: it may be a mount point, or the working directory.
    Raises OSError.
    """
    is_empty = path.is_dir() and not any(path.iterdir())
    if scratch is None:
        scratch = path / ".writing" if is_empty else path.with_name(f".{path.name}.writing")
    aside = path.with_name(f".{path.name}{ASIDE}")
    _give_back(aside)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        for file in scratch.rglob("*"):
            (sync_folder if file.is_dir() else sync_file)(file)
        sync_folder(scratch)
        if is_empty:
            for file in sorted(scratch.iterdir(), key=lambda file: bool(last) and file.name.endswith(last)):
                os.replace(file, path / file.name)
            scratch.rmdir()
        else:
            if path.is_symlink() or path.is_file():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            if path.exists():
                os.replace(path, aside)
            os.replace(scratch, path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        _give_back(aside)
        raise
    sync_folder(path if is_empty else path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def remove_scratch(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, and restore what they had set aside. Raises OSError."""
    for aside in folder.glob(f".*{ASIDE}"):
        _give_back(aside)
    for leftover in folder.glob(SCRATCH):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _give_back(aside: Path) -> None:
    """Give a folder that was set aside its name back, if no other has it; else remove it."""
    path = aside.with_name(aside.name[1 : -len(ASIDE)])
    if aside.is_dir() and not path.exists():
        os.replace(aside, path)
    shutil.rmtree(aside, ignore_errors=True)


def sync_file(file: Path) -> None:
    """Sync a file to disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, if the system supports it."""
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

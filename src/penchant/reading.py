"""Read a file that a user names, or explain in a few words why it cannot be read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from penchant.errors import ConfigError

__all__ = ["A_FOLDER", "NO_SUCH_FILE", "os_reason", "read_given", "read_text", "why_unreadable"]

MAX_TEXT_BYTES = 16_000_000
"""The most bytes of a settings file, a template or instructions; more is a mistake."""
NO_SUCH_FILE = "there is no such file"
A_FOLDER = "it is a folder, not a file"
WORDS = {
    errno.ELOOP: "its symbolic links lead round in a circle",
    errno.ENAMETOOLONG: "a name in the path is longer than the file system allows",
    errno.ENOENT: NO_SUCH_FILE,
    errno.ENOTDIR: "a part of the path that should be a folder is a file",
}
KINDS = (
    (stat.S_ISDIR, A_FOLDER),
    (stat.S_ISFIFO, "it is a pipe, which can be read only once; write what comes out of it to a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
)


def os_reason(error: OSError) -> str:
    """The system's error, in words."""
    return WORDS.get(error.errno or 0) or error.strerror or str(error)


def why_unreadable(path: str | os.PathLike[str]) -> str | None:
    """Why no file can be read under this name; None if one exists. Nothing is opened, as a pipe would block."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return os_reason(error)
    except ValueError:  # a null byte
        return "no file can have a name with a null byte"
    return next((words for is_kind, words in KINDS if is_kind(mode)), None)


def read_text(path: str | os.PathLike[str]) -> str:
    """The UTF-8 text of a small file. Raises OSError, with its reason in strerror, and UnicodeDecodeError."""
    if reason := why_unreadable(path):
        raise OSError(errno.EINVAL, reason, os.fspath(path))
    with Path(path).open("rb") as stream:
        content = stream.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise OSError(errno.EFBIG, f"it is longer than {MAX_TEXT_BYTES:,} bytes", os.fspath(path))
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_given(path: str | os.PathLike[str] | None, argument: str, give: str) -> str | None:
    """The text of the file that an argument names, if any. give: the expected content. Raises ConfigError."""
    if path is None:
        return None
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"`{argument}=...` {path}: cannot be read ({reason}); give {give}") from error

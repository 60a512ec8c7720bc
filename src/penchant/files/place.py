"""Check that a result can be written, before computing it."""

from __future__ import annotations

from pathlib import Path

from penchant.errors import OutputError

__all__ = ["require_new", "require_place"]


def require_new(path: Path, option: str = "`output=...`") -> None:
    """Raise OutputError if `path` already exists, or cannot be created."""
    require_place(path, option)
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another {option}")


def require_place(path: Path, option: str = "`output=...`") -> None:
    """Raise OutputError if nothing can be created at `path`; an existing file is left to the caller.

    This is tested by trying: on some file systems creation fails although permissions allow it. Parent folders are
    kept, since another command may be about to use them; `path` itself is not.
    """
    try:
        if path.exists():
            return
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
        path.mkdir()
        path.rmdir()
    except OSError as error:
        raise OutputError(f"{path}: cannot be created ({error.strerror}); choose another {option}") from error

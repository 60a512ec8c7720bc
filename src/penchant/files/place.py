"""Whether a result could be written, found out before the work that makes it."""

from __future__ import annotations

from pathlib import Path

from penchant.errors import OutputError

__all__ = ["require_new", "require_place"]


def require_new(path: Path, option: str = "`output=...`") -> None:
    """Raise OutputError where something is at `path` already, or nothing can be created there."""
    require_place(path, option)
    if path.exists():
        raise OutputError(f"{path}: exists already; choose another {option}")


def require_place(path: Path, option: str = "`output=...`") -> None:
    """Raise OutputError where nothing can be created at `path`; what is there already is left to the caller.

    Only trying tells: on some file systems nothing can be made although the rights allow it. The folders above `path`
    stay, since a second command may be about to use them; `path` itself does not.
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

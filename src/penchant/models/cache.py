"""The cache folder: downloaded or converted models, reference log-probs, and measurements of this machine."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from penchant.files.whole import disk_errors_explained

__all__ = ["cache_errors_explained", "cache_folder", "is_whole"]


def cache_folder() -> Path:
    """Where Penchant keeps models and reference log-probs: $PENCHANT_CACHE, or penchant in the user's cache folder."""
    if explicit := os.environ.get("PENCHANT_CACHE"):
        return Path(explicit)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penchant"


def cache_errors_explained(folder: Path) -> AbstractContextManager[None]:
    """A context that turns disk errors in the cache into an OutputError; see `disk_errors_explained`."""
    return disk_errors_explained(
        folder, again="run the command again", elsewhere="set PENCHANT_CACHE to another folder"
    )


def is_whole(folder: Path) -> bool:
    """Whether a cached model is complete (the mark is the last file written)."""
    return (folder / "complete").is_file()

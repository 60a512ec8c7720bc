"""Whose process this is: a command has one for itself and may tune it; a caller of the library keeps its own."""

from __future__ import annotations

__all__ = ["is_own", "own_process"]


class _Process:
    is_own = False


def own_process() -> None:
    """Say that the process does nothing but what it is told next, as a command's does."""
    _Process.is_own = True


def is_own() -> bool:
    """Whether memory and threads of the whole process may be tuned."""
    return _Process.is_own

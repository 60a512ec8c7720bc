"""Whose process this is: a command has one for itself and may tune it; a caller of the library keeps its own."""

from __future__ import annotations

import os

__all__ = ["RESTARTS", "SPINS", "is_own", "num_processes", "own_process", "process_rank", "was_restarted"]

RESTARTS = "PENCHANT_RESTARTS"
"""The environment variable that says how often the processes of a run were started again."""


SPINS = "20000"
"""Rounds of an OpenMP thread's loop before it sleeps; some tens of microseconds. GNU has 300,000."""


class _Process:
    is_own = False


def own_process() -> None:
    """Say that the process does nothing but what it is told next, as a command's does.

    Before PyTorch is imported, this also keeps its threads from waiting for each other at full speed: beside other
    work that takes the very processors that they wait for.
    """
    _Process.is_own = True
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def is_own() -> bool:
    """Whether memory and threads of the whole process may be tuned."""
    return _Process.is_own


def num_processes() -> int:
    """How many processes torchrun has started for the run that this one belongs to; 1 where it was not torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def process_rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ["RANK"]) if num_processes() > 1 else 0


def was_restarted() -> bool:
    """Whether this process was started again, by us or by torchrun, after one of the run's processes had ended."""
    return num_processes() > 1 and any(
        os.environ.get(name, "0") != "0" for name in (RESTARTS, "TORCHELASTIC_RESTART_COUNT")
    )

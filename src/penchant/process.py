"""Whether the process is a command's own, which may be tuned, or belongs to a caller of the library."""

from __future__ import annotations

import os

__all__ = ["RESTARTS", "SPINS", "is_own", "num_processes", "own_process", "process_rank", "was_restarted"]

RESTARTS = "PENCHANT_RESTARTS"
"""The environment variable with the number of restarts of a run's processes."""


SPINS = "20000"
"""Rounds of an OpenMP thread's loop before it sleeps; some tens of microseconds. GNU has 300,000."""


class _Process:
    is_own = False


def own_process() -> None:
    """Declare that the process belongs to a command and does nothing else.

    Before PyTorch is imported, this also keeps its threads from busy-waiting for each other: next to other work they
    would take the very processors that they wait for.
    """
    _Process.is_own = True
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def is_own() -> bool:
    """Whether memory and threads of the process may be tuned."""
    return _Process.is_own


def num_processes() -> int:
    """The number of processes that torchrun started for this run; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def process_rank() -> int:
    """The rank of this process, from 0."""
    return int(os.environ["RANK"]) if num_processes() > 1 else 0


def was_restarted() -> bool:
    """Whether this process was restarted, by us or by torchrun, after one of the run's processes ended."""
    return num_processes() > 1 and any(
        os.environ.get(name, "0") != "0" for name in (RESTARTS, "TORCHELASTIC_RESTART_COUNT")
    )

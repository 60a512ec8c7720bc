"""What `penchant round` shows: how an interrupted round goes on."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from penchant.rounds import RoundInterrupted
from penchant.training.interrupt import Interrupted

__all__ = ["interruption_explained"]


@contextmanager
def interruption_explained() -> Iterator[None]:
    """Where the call is stopped inside a round, say with which command it continues."""
    try:
        yield
    except RoundInterrupted as stop:
        judge = "" if stop.judge is None else f" --judge {shlex.quote(stop.judge)}"
        then = f"continue with `penchant round {shlex.quote(str(stop.round.path.parent))}{judge}`"
        words = f"{stop}; {'the round is finished' if stop.round.is_finished else then}"
        raise Interrupted(stop.exit_code - 128, words) from None

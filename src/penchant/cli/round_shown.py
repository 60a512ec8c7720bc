"""What `penchant round` shows: a round that is finished, or waits, or was interrupted, and all rounds as a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penchant.errors import OutputError
from penchant.rounds import RoundInterrupted, RoundResult, find_rounds, in_words, table_of
from penchant.training.interrupt import Interrupted

__all__ = ["interruption_explained", "print_rounds", "said_of"]


def said_of(result: RoundResult) -> str:
    """What a call came to, and what to do next where the round waits for people."""
    if (waiting := result.waiting) is None:
        this = result.round
        return f"round {this.number} is finished: {in_words(this)}\nreport  {this.path / 'report.html'}"
    return (
        f"{waiting.num_missing} more of {waiting.num_comparisons} comparisons must be answered; ask people with\n"
        f"  penchant annotate {shlex.quote(waiting.project)}\n"
        f"and call penchant round again; in the project they are called {waiting.tasks}/..."
    )


@contextmanager
def interruption_explained() -> Iterator[None]:
    """Where the call is stopped inside a round, say with which command it continues."""
    try:
        yield
    except RoundInterrupted as stop:
        judge = "" if stop.judge is None else f" --judge {shlex.quote(stop.judge)}"
        then = f"go on with `penchant round {shlex.quote(str(stop.round.path.parent))}{judge}`"
        words = f"{stop}; {'the round is finished' if stop.round.is_finished else then}"
        raise Interrupted(stop.exit_code - 128, words) from None


def print_rounds(folder: Path) -> None:
    """All rounds of a folder as a table. Raises OutputError where there are none."""
    from rich.console import Console

    from penchant.cli.tables import print_table

    rounds = find_rounds(folder)
    if not rounds:
        raise OutputError(f"{folder}: holds no rounds; begin the first with --model, --prompts and --judge or --people")
    print_table(Console(highlight=False), *table_of(rounds))

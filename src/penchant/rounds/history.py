"""Show the gain of a folder's rounds: one in words, all as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from penchant.errors import OutputError
from penchant.rounds.plan import Round, find_rounds
from penchant.rounds.stages import next_stage

__all__ = ["in_words", "table_of", "table_of_folder"]

COLUMNS = ("round", "parent", "pairs", "win rate", "95% interval", "KL", "folder")


def table_of(rounds: Sequence[Round]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The column names, and one row per round; an unfinished round shows its stage instead of figures."""
    return COLUMNS, [_row(this) if this.is_finished else _row_under_way(this, next_stage(this)) for this in rounds]


def table_of_folder(folder: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The table of the rounds in a folder. Raises OutputError if there are none."""
    rounds = find_rounds(folder)
    if not rounds:
        raise OutputError(
            f"{folder}: holds no rounds; begin the first with `model=...`, `prompts=...`, and `judge=...` or "
            "`people=...`"
        )
    return table_of(rounds)


def in_words(this: Round) -> str:
    """The gain of a finished round: its win rate over the previous model, with its interval, and the KL."""
    figures = this.record()["figures"]
    rate, kl = figures.get("win_rate"), figures["kl"]
    moved = f"KL {kl['mean']:+.3f} nats a response"
    if rate is None:
        return f"nobody compared its held-out answers; {moved}"
    counts = ", ".join(f"{rate[key]} {noun}" for key, noun in (("wins", "won"), ("losses", "lost"), ("ties", "tied")))
    return f"win rate {rate['rate']:.1%} (95% interval {rate['low']:.1%} to {rate['high']:.1%}; {counts}); {moved}"


def _row(this: Round) -> tuple[str, ...]:
    record = this.record()
    rate, kl = record["figures"].get("win_rate"), record["figures"]["kl"]
    shown = ("-", "-") if rate is None else (f"{rate['rate']:.1%}", f"{rate['low']:.1%} to {rate['high']:.1%}")
    pairs = next(num for name, num in record["counts"].items() if name.startswith("train_"))
    parent = f"{this.parent} {record['parent']['digest'][:12]}"
    return (str(this.number), parent, str(pairs), *shown, f"{kl['mean']:+.3f}", str(this.path))


def _row_under_way(this: Round, stage: str) -> tuple[str, ...]:
    return (str(this.number), this.parent, "-", f"under way: {stage}", "-", "-", str(this.path))

"""What the commands of votes show: rows that were left out, and how far people agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from penchant.cli.tables import print_table
from penchant.wording import sanitise

if TYPE_CHECKING:
    from penchant.feedback import TasksAdded

__all__ = ["say", "show_agreement", "show_left_out"]


def say(text: str) -> None:
    """One line on standard error, made safe to show."""
    typer.echo(sanitise(text), err=True)


def show_left_out(added: TasksAdded, *, most: int, indent: str = "") -> None:
    """The rows of a file that could not be taken, `most` of them by name, and its fields that nobody reads."""
    for reason in added.refused[:most]:
        say(f"{indent}left out: {reason}")
    if len(added.refused) > most:
        say(f"{indent}and {len(added.refused) - most} more were left out")
    if added.unread:
        say(f"{indent}fields not read: {', '.join(added.unread)}")


def show_agreement(found: Mapping[str, Any]) -> None:
    """How far people agree, what sways them, who wins, and how each does: `penchant.feedback.summary`."""
    console = Console(highlight=False)
    agreed, counts, noise = found["agreement"], found["counts"], found["label_noise"]
    settled = found["disagreements"]
    alpha = "none" if agreed["value"] is None else f"{agreed['value']:.3f}"
    smoothing = "not known" if noise["label_smoothing"] is None else f"{noise['label_smoothing']:.3f}"
    print_table(
        console,
        ("measured", "value"),
        [
            ("pairs", f"{counts['tasks']:,} and {counts['gold']:,} gold"),
            ("answers", f"{counts['answered']:,}, skipped {counts['skipped']:,}"),
            ("outcomes", ", ".join(f"{name} {num:,}" for name, num in counts["by_outcome"].items())),
            *([("name nobody", _unnamed(agreed["num_unnamed"]))] if agreed["num_unnamed"] else []),
            ("alpha", f"{alpha}: {agreed['reading']}"),
            ("same answer", _percent({"value": agreed["raw"]}) + f" on {agreed['num_tasks']:,} pairs"),
            ("prefer what is shown first", _percent(found["position_bias"])),
            ("prefer the longer", _percent(found["length_bias"])),
            ("label_smoothing from repeats", smoothing),
            ("disagreements", f"{settled['open']:,} open, {settled['settled']:,} settled"),
            ("training pairs", f"{found['pairs']['pairs']:,} by majority"),
        ],
    )
    _show_people(console, found["reliability"])
    _show_sources(console, found["sources"])


def _unnamed(num: int) -> str:
    return f"{num:,} answers, of one person or of many: in no agreement, and together the row '(unknown)' below"


def _show_people(console: Any, people: list[dict[str, Any]]) -> None:
    shares = ("gold", "self_agreement", "with_majority", "too_fast", "first_side")
    columns = ("annotator", "answers", "gold right", "repeats same", "with majority", "too fast", "first side")
    rows = [(one["annotator"], f"{one['num_answers']:,}", *(_percent(one[name]) for name in shares)) for one in people]
    if rows:
        console.print()
        print_table(console, columns, rows)


def _show_sources(console: Any, sources: dict[str, Any]) -> None:
    console.print()
    if not sources["rows"]:
        say(f"no ranking of sources: {sources['reason']}")
        return
    rows = [
        (row["source"], f"{row['elo']:.0f}", f"{row['low']:.0f} to {row['high']:.0f}", f"{row['wins']:,}",
         f"{row['losses']:,}", f"{row['ties']:,}")
        for row in sources["rows"]
    ]  # fmt: skip
    print_table(console, ("source", "Elo", "95 %", "won", "lost", "tied"), rows)
    for note in sources["notes"]:
        say(note)


def _percent(share: dict[str, Any]) -> str:
    """A share with its interval where it has one."""
    if share["value"] is None:
        return "-"
    value = f"{100 * share['value']:.0f} %"
    return value if share.get("low") is None else f"{value} ({100 * share['low']:.0f} to {100 * share['high']:.0f})"

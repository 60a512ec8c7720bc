"""What the commands of votes show: rows that were left out, and how far people agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from penchant.cli.tables import print_parts
from penchant.report.agreement_text import agreement_parts
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
    print_parts(Console(highlight=False), agreement_parts(found))
    sources = found["sources"]
    for note in sources["notes"] if sources["rows"] else [f"no ranking of sources: {sources['reason']}"]:
        say(note)

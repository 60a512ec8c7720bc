"""What the commands of votes show: lines beside their results, and how far people agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

from penchant.cli.tables import print_parts
from penchant.report.agreement_text import agreement_parts
from penchant.wording import sanitise

__all__ = ["say", "show_agreement"]


def say(text: str) -> None:
    """One line on standard error, made safe to show."""
    typer.echo(sanitise(text), err=True)


def show_agreement(found: Mapping[str, Any]) -> None:
    """How far people agree, what sways them, who wins, and how each does: `penchant.feedback.summary`."""
    print_parts(Console(highlight=False), agreement_parts(found))
    sources = found["sources"]
    for note in sources["notes"] if sources["rows"] else [f"no ranking of sources: {sources['reason']}"]:
        say(note)

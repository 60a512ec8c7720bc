"""`penchant report`: a run as one offline HTML page."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command", "write_run_report"]

NAME = "report"


def command(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write the report of a run again, from what its folder holds.

    [bold]Example[/bold]

        penchant report runs/first
    """
    typer.echo(write_run_report(run, partial(typer.echo, err=True)))


def write_run_report(run: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Write `report.html` into a run folder and return its path; says what it could not read. Raises UserError."""
    from penchant.report import write_report
    from penchant.training.run_folder import read_ledger, read_rows_written

    def rows(name: str) -> list[dict[str, object]]:
        return read_rows_written(run / name, say) if (run / name).is_file() else []

    comparison = run / "comparison.json"
    found = json.loads(comparison.read_text(encoding="utf-8")) if comparison.is_file() else None
    write_report(read_ledger(run), rows("metrics.jsonl"), rows("samples.jsonl"), found, run / "report.html")
    return run / "report.html"

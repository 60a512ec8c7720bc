"""`penchant report`: a run as one offline HTML page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "report"


def command(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Write the report of a run again, from what its folder holds.

    [bold]Example[/bold]

        penchant report runs/first
    """
    from penchant.training.run_report import write_run_report

    typer.echo(write_run_report(run, partial(typer.echo, err=True)))

"""`penchant sweep`: one method on a grid of settings, and the best of it within a budget of KL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "sweep"


def command(
    file: Annotated[Path, typer.Argument(help="A YAML file that says which settings, from where, and how far.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of all runs, figures and numbers.")],
    judge: Annotated[
        str | None,
        typer.Option(help="The true reward, in place of the file's.", show_default="the file's"),
    ] = None,
) -> None:
    """Train one method on a grid of settings, and pick what wins most on held-out prompts within a budget of KL.

    How many preferences a model gets right is shown and decides nothing: a model can rank pairs better and write worse
    answers. Goes on where it was stopped, as `penchant frontier` does.

    [bold]Examples[/bold]

        penchant sweep examples/sweep-sentiment.yaml --output runs/sweep
    """
    from penchant.cli.study import show
    from penchant.studies import sweep

    show(sweep, file, output, judge)

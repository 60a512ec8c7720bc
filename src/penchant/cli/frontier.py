"""`penchant frontier`: methods at several strengths from one start, the true reward against the KL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "frontier"


def command(
    file: Annotated[Path, typer.Argument(help="A YAML file that says which methods, how strong, from where.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of all runs, figures and numbers.")],
    judge: Annotated[
        str | None,
        typer.Option(help="The true reward, in place of the file's.", show_default="the file's"),
    ] = None,
) -> None:
    """Train by several methods at several strengths from one start, and draw what each reaches against its KL.

    All share one start, one split of the prompts, one pool of sampled answers and preferences, and one reward model.
    Every point is a run folder of its own, and stands in points.jsonl as soon as it is measured: give the same command
    again, and it goes on where it was stopped.

    [bold]Examples[/bold]

        penchant frontier examples/frontier-sentiment.yaml --output runs/frontier

        penchant frontier study.yaml --output runs/study --judge my_judges:brevity
    """
    from penchant.cli.study import show
    from penchant.studies import frontier

    show(frontier, file, output, judge)

"""`penchant lineage`: where a model came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "lineage"


def command(
    run: Annotated[Path, typer.Argument(help="A run folder, or a model that was exported.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where a run came from, as a tree: the runs and models before it, data files, votes, people and judges.

    This is what was written down when they were made; `penchant verify` compares it with the files.

    [bold]Examples[/bold]

        penchant lineage runs/second

        penchant lineage runs/second --json | jq .of
    """
    from penchant.training.lineage import lineage

    tree = lineage(run)
    typer.echo(json.dumps(tree.as_dict(), indent=2, ensure_ascii=False) if as_json else str(tree))

"""`penchant lineage`: where a model came from."""

import json
from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument


def command(
    run: Path = argument("A run folder or an exported model."),
    as_json: bool = options.JSON,
) -> None:
    """Show where a run came from, as a tree: the runs and models before it, data files, votes, people and judges.

    The tree is what was recorded when they were made; `penchant verify` compares it with the files.

    [bold]Examples[/bold]
        penchant lineage runs/second
        penchant lineage runs/second --json | jq .of
    """
    import penchant

    tree = penchant.lineage(run)
    typer.echo(json.dumps(tree.as_dict(), indent=2, ensure_ascii=False) if as_json else str(tree))

"""`penchant convert`: data of one format as rows of another."""

from __future__ import annotations

from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "convert"


def command(
    files: Annotated[list[str], typer.Argument(help="Pairs, comparisons, labelled responses or demonstrations.")],
    to: Annotated[str, typer.Option(help="The format to write.", metavar="trl|kto|messages|arena|comparisons")],
    output: Annotated[str, typer.Option("--output", "-o", help="The file of JSON lines to write.")],
    on_bad_row: options.OnBadRow = "error",
    columns: options.Columns = None,
    format: options.Format = None,
    pairing: options.Pairing = None,
    min_gap: options.MinGap = None,
) -> None:
    """Write data of any format as rows that others read: TRL, KTO, messages, arena battles, Penchant's comparisons.

    What the format has no place for is said. The file is written whole or not at all.

    [bold]Examples[/bold]

        penchant convert battles.parquet --to trl --output pairs.jsonl

        penchant convert pairs.jsonl --to kto --output labelled.jsonl --on-bad-row drop
    """
    from penchant.cli.console import Reporter
    from penchant.data.convert import convert

    how = {"columns": columns, "format": format, "pairing": pairing, "min_gap": min_gap or 0.0}
    found = convert(files, to=to, output=output, on_bad_row=on_bad_row or "error", **how)  # type: ignore[arg-type]
    for line in found.in_words():
        Reporter().say(line)
    typer.echo(found.path)

"""`penchant convert`: data of one format as rows of another."""

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, option


def command(
    *,
    files: list[str] = argument("Files of pairs, comparisons, labelled responses or demonstrations."),
    to: str = option("The format to write.", default=..., metavar="trl|kto|messages|arena|comparisons"),
    output: str = option("The JSON Lines file to write.", "--output -o", default=...),
    on_bad_row: str = option(options.BAD_ROWS, default="error"),
    reading: options.Reading,
) -> None:
    """Convert data of any supported format to TRL, KTO, messages, arena battles or Penchant's comparisons.

    What the target format cannot hold is reported. The file is written whole or not at all.

    [bold]Examples[/bold]
        penchant convert battles.parquet --to trl --output pairs.jsonl
        penchant convert pairs.jsonl --to kto --output labelled.jsonl --on-bad-row drop
    """
    import penchant
    from penchant.cli.console import Reporter

    found = penchant.convert(files, to=to, output=output, on_bad_row=on_bad_row, **vars(reading))  # type: ignore[arg-type]
    Reporter().say(*found.in_words())
    typer.echo(found.path)

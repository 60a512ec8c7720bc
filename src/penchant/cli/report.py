"""`penchant report`: a run, several beside one another, or evaluations, as one offline HTML page."""

from functools import partial
from pathlib import Path

import typer

from penchant.cli.declaring import argument, option


def command(
    runs: list[Path] = argument("Run folders; several are compared. Or a file that `eval` wrote.", metavar="RUN..."),
    output: Path | None = option(
        "The page.", "--output -o", shown="RUN/report.html; of several runs, runs-compared.html; of a file, its name"
    ),
    language: str = option("en or zh.", default="en"),
) -> None:
    """Write the report of a run again, from what its folder holds, or one page that compares several runs or models.

    [bold]Examples[/bold]
        penchant report runs/first
        penchant report runs/beta-0.1 runs/beta-0.5 --output betas.html --language zh
        penchant report evaluation.json --output models.html
    """
    from penchant.training.run_report import write_page

    typer.echo(write_page(runs, output, partial(typer.echo, err=True), language))

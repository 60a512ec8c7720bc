"""`penchant report`: a run, several beside one another, or evaluations, as one offline HTML page."""

from functools import partial
from pathlib import Path

import typer

from penchant.cli.declaring import argument, option


def command(
    runs: list[Path] = argument("Run folders; several are compared. Or a file from penchant eval.", metavar="RUN..."),
    output: Path | None = option(
        "Page to write.", "--output -o", shown="RUN/report.html; several runs: runs-compared.html; a file: its name"
    ),
    language: str = option("Language of the page: en or zh.", default="en"),
) -> None:
    """Write a run's report again from its folder, or one page that compares several runs or models.

    [bold]Examples[/bold]
        penchant report runs/first
        penchant report runs/beta-0.1 runs/beta-0.5 --output betas.html --language zh
        penchant report evaluation.json --output models.html
    """
    from penchant.training.run_report import write_page

    typer.echo(write_page(runs, output, partial(typer.echo, err=True), language))

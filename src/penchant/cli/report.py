"""`penchant report`: a run, or several beside one another, as one offline HTML page."""

from functools import partial
from pathlib import Path

import typer

from penchant.cli.declaring import argument, option


def command(
    runs: list[Path] = argument("Run folders; several are compared.", metavar="RUN..."),
    output: Path | None = option(
        "The page.", "--output -o", shown="RUN/report.html; of several runs, runs-compared.html"
    ),
    language: str = option("en or zh.", default="en"),
) -> None:
    """Write the report of a run again, from what its folder holds, or one page that compares several runs.

    [bold]Examples[/bold]
        penchant report runs/first
        penchant report runs/beta-0.1 runs/beta-0.5 --output betas.html --language zh
    """
    from penchant.training.run_report import write_run_report, write_runs_report

    say = partial(typer.echo, err=True)
    if len(runs) == 1:
        typer.echo(write_run_report(runs[0], say, language, output))
    else:
        typer.echo(write_runs_report(runs, output or Path("runs-compared.html"), say, language))

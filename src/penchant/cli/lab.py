"""`penchant lab`: the claims of the theory, computed in a world small enough to list, and two on real models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "lab"
FOLDER = "folder"
"""The option of an experiment that writes more than figures; --output/NAME unless it is set."""


def command(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of experiments, or 'all' for those that take seconds; without a name they are listed.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for figures (SVG, PNG) and numbers (JSON).")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An option of the named experiments, as name=value; may be repeated. At least one of them must have "
            "it.",
        ),
    ] = None,
) -> None:
    """Check what the mathematics claims: each experiment prints its claim, what was measured and whether it held.

    Most are exact, in float64, and take seconds; these are what 'all' runs. Two are not among them: tree loads a real
    language model, and life trains a small one from nothing in a minute or two. The exit code is 1 if a claim did not
    hold.

    [bold]Examples[/bold]

        penchant lab

        penchant lab optimum overfitting --output runs/lab

        penchant lab temperature --set num_responses=5 --set seed=3

        penchant lab tree --set "prompt=What is the sea?" --set depth=4 --output runs/lab

        penchant lab life --output runs/lab
    """
    from rich.console import Console

    from penchant import life
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts, print_table
    from penchant.lab import EXPERIMENTS
    from penchant.life.catalogue import find_experiment, options_of, read_options, rows_of_experiments, run_experiment
    from penchant.report.result_files import result_parts, write_result

    console, held = Console(), True
    say = partial(console.print, highlight=False, markup=False)
    if not experiments:
        print_table(console, ("experiment", "what it does", "options"), list(rows_of_experiments()))
        return
    names = list(EXPERIMENTS) if experiments == ["all"] else experiments
    functions = {name: find_experiment(name) for name in names}
    calls = {name: read_options(name, functions, settings or [], say) for name in functions}
    for name in names:
        if output is not None and FOLDER in options_of(functions[name]):
            calls[name].setdefault(FOLDER, str(output / name))
        with Reporter() as reporter:
            result = run_experiment(functions[name], calls[name], reporter).as_dict()
        print_parts(console, result_parts(result))
        if output is not None:
            for path in write_result(result, output, name):
                console.print(f"  {path}", highlight=False, soft_wrap=True)
        held = held and result["held"]
    if experiments == ["all"]:
        say(f"Left out, as they take longer: {', '.join(life.EXPERIMENTS)}. Run them by name.")
    if not held:
        raise typer.Exit(1)

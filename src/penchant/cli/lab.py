"""`penchant lab`: the claims of the theory, computed in a world small enough to list, and two on real models."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Annotated, Any

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
    from penchant.lab import EXPERIMENTS
    from penchant.life.catalogue import find_experiment, options_of, read_options, run_experiment
    from penchant.report.result_files import write_result

    console, held = Console(), True
    say = partial(console.print, highlight=False, markup=False)
    if not experiments:
        _list(console)
        return
    names = list(EXPERIMENTS) if experiments == ["all"] else experiments
    functions = {name: find_experiment(name) for name in names}
    calls = {name: read_options(name, functions, settings or [], say) for name in functions}
    for name in names:
        if output is not None and FOLDER in options_of(functions[name]):
            calls[name].setdefault(FOLDER, str(output / name))
        with Reporter() as reporter:
            result = run_experiment(functions[name], calls[name], reporter).as_dict()
        _show(console, result)
        if output is not None:
            for path in write_result(result, output, name):
                console.print(f"  {path}", highlight=False, soft_wrap=True)
        held = held and result["held"]
    if experiments == ["all"]:
        console.print(
            f"Left out, as they take longer: {', '.join(life.EXPERIMENTS)}. Run them by name.", highlight=False
        )
    if not held:
        raise typer.Exit(1)


def _list(console: Any) -> None:
    from penchant.cli.tables import print_table
    from penchant.errors import ConfigError
    from penchant.life.catalogue import find_experiment, names_of_experiments, options_of

    rows = []
    for name in names_of_experiments():
        try:
            function = find_experiment(name)
        except ConfigError as error:  # of a package that is broken; the others can be run
            rows.append((name, str(error), ""))
            continue
        options = ", ".join(f"{p.name}={p.default}".rstrip("=") for p in options_of(function).values())
        rows.append((name, (inspect.getdoc(function) or name).splitlines()[0], options or "none"))
    print_table(console, ("experiment", "what it does", "options"), rows)


def _show(console: Any, result: dict[str, Any]) -> None:
    from rich.text import Text

    from penchant.cli.tables import print_table

    console.print(Text(result["name"], style="bold"))
    console.print(Text(result["claim"]))
    for words, good in result["checks"].items():
        console.print(Text(f"  {'held  ' if good else 'FAILED'}  {words}", style="" if good else "bold red"))
    if result["table"]:
        print_table(console, list(result["table"][0]), [list(row.values()) for row in result["table"]])
    print_table(console, ("measured", "value"), [(name, f"{value:.6g}") for name, value in result["measured"].items()])
    console.print(Text("The claim held." if result["held"] else "The claim did NOT hold.", style="bold"))

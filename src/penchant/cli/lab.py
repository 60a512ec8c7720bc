"""`penchant lab`: the claims of the theory, computed in a world small enough to list, and two on real models."""

from pathlib import Path

import typer

from penchant.cli.declaring import argument, option


def command(
    experiments: list[str] | None = argument(
        "Experiments to run, or 'all' for those that take seconds; without a name they are listed.",
        default=None,
        shown=False,
    ),
    output: Path | None = option("A folder for figures (SVG, PNG) and numbers (JSON).", "--output -o"),
    settings: list[str] | None = option(
        "An option as name=value; may be repeated. At least one of the named experiments must have it.",
        "--set",
    ),
) -> None:
    """Check the theory's claims: each experiment prints its claim, what was measured and whether it held.

    Most are exact, in float64, and take seconds; these are what 'all' runs. Two are not among them: tree loads a real
    language model, and life trains a small one from random weights in a minute or two. Exit code 1 if a claim did not
    hold.

    [bold]Examples[/bold]
        penchant lab
        penchant lab optimum overfitting --output runs/lab
        penchant lab temperature --set num_responses=5 --set seed=3
        penchant lab tree --set "prompt=What is the sea?" --set depth=4 --output runs/lab
        penchant lab life --output runs/lab
    """
    from penchant import life
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts, print_table
    from penchant.lab import EXPERIMENTS
    from penchant.life.catalogue import find_experiment, read_options, rows_of_experiments, run_experiment
    from penchant.report.result_files import result_parts, write_result

    held = True
    if not experiments:
        print_table(("experiment", "what it does", "options"), list(rows_of_experiments()))
        return
    names = list(EXPERIMENTS) if experiments == ["all"] else experiments
    functions = {name: find_experiment(name) for name in names}
    calls = {name: read_options(name, functions, settings or [], typer.echo) for name in functions}
    for name in names:
        folder = None if output is None else output / name
        with Reporter() as reporter:
            result = run_experiment(functions[name], calls[name], reporter, folder).as_dict()
        print_parts(result_parts(result))
        if output is not None:
            print_parts(f"  {path}" for path in write_result(result, output, name))
        held = held and result["held"]
    if experiments == ["all"]:
        typer.echo(f"Left out, as they take longer: {', '.join(life.EXPERIMENTS)}. Run them by name.")
    if not held:
        raise typer.Exit(1)

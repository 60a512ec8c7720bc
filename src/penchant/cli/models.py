"""`penchant models`: the models on this machine, and the starter model fetched."""

import json
from dataclasses import asdict

import typer

from penchant.cli.declaring import argument, declared, flag

__all__ = ["app", "command"]

app = typer.Typer()


@app.callback(invoke_without_command=True)
@declared
def command(
    context: typer.Context,
    as_json: bool = flag("--json", "Print JSON instead of a table."),
) -> None:
    """List the models on this machine: starter models, converted GGUF files, and the Hugging Face cache.

    [bold]Examples[/bold]
        penchant models
        penchant models --json
        penchant models pull smollm2-135m
    """
    if context.invoked_subcommand is not None:
        return
    from penchant.models.inventory import COLUMNS, models_here

    found = list(models_here())
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2, ensure_ascii=False))
        return
    from penchant.cli.tables import print_table

    print_table(COLUMNS, [model.row() for model in found])
    if missing := [model.name for model in found if not model.is_here]:
        typer.echo(f"`penchant models pull {missing[0]}` downloads the starter model; so does its first use", err=True)


@app.command()
@declared
def pull(name: str = argument("A starter model's name.", default="smollm2-135m")) -> None:
    """Download a starter model, verify it and convert it, unless it is here already.

    [bold]Example[/bold]
        penchant models pull smollm2-135m
    """
    from penchant.cli.console import Reporter
    from penchant.models import starter

    was_here = name in starter.installed_starters()
    with Reporter() as reporter:
        folder = starter.pull(name, reporter.say)
        known = starter.STARTERS[name]
        state = "was already here; verified when it was fetched" if was_here else "fetched and verified"
        reporter.say(f"{name}: {state}\nsha256  {known.sha256} ({known.gguf})\nlicence {known.licence}")
    typer.echo(folder)

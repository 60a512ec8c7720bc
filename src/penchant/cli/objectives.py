"""`penchant objectives`: every loss that `penchant dpo --objective` takes."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "objectives"


def command(
    name: Annotated[str | None, typer.Argument(help="Show this one in full; TRL's names are understood too.")] = None,
    presets: Annotated[bool, typer.Option("--presets", help="List the published recipes instead.")] = False,
) -> None:
    """List the objectives: formula, default parameters, source, and when to use which.

    [bold]Examples[/bold]

        penchant objectives

        penchant objectives simpo

        penchant objectives --presets
    """
    from rich.console import Console

    from penchant.cli.tables import print_table
    from penchant.errors import ConfigError
    from penchant.objectives import get_objective
    from penchant.objectives.facts import every_objective, facts_of

    console = Console()
    if presets:
        from penchant.training.presets import PRESETS

        if name is not None:
            raise ConfigError("`presets=True` lists recipes, and an objective was named too; give one of the two")
        rows = [(one.name, one.trained, one.in_words(), one.source) for one in PRESETS.values()]
        print_table(console, ("preset", "made for", "settings", "source"), rows)
        return
    if name is None:
        print_table(console, ("objective", "defaults", "when"), list(every_objective()))
        return
    try:
        row = get_objective(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print_table(console, ("", ""), list(facts_of(row).items()))

"""`penchant objectives`: every loss that `penchant dpo --objective` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "objectives"


def command(
    name: Annotated[str | None, typer.Argument(help="Show this one in full; TRL's names are understood too.")] = None,
) -> None:
    """List the objectives: formula, default parameters, source, and when to use which.

    [bold]Examples[/bold]

        penchant objectives

        penchant objectives simpo
    """
    from rich.console import Console

    from penchant.cli.tables import print_table
    from penchant.errors import ConfigError
    from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, LabelledObjective, get_objective

    console = Console()
    if name is None:
        rows = [
            (row.name, _parameters(row.defaults), row.when)
            for table in (OBJECTIVES, LABELLED_OBJECTIVES)
            for row in table.values()
        ]
        print_table(console, ("objective", "defaults", "when"), rows)
        return
    try:
        row = get_objective(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    address = row.paper.arxiv if row.paper.arxiv.startswith("https:") else f"arXiv {row.paper.arxiv}"
    facts = {
        "objective": row.name,
        "formula": row.formula,
        "defaults": _parameters(row.defaults) or "none",
        "reads": ", ".join((["reference"] if row.needs_reference else []) + sorted(row.reads)) or "the policy alone",
        "log-probs": "averaged over tokens" if row.normalisation == "mean" else "summed over tokens",
        "source": f"{row.paper.title}, {address}, {row.paper.equation}",
        "when": row.when,
    }
    if isinstance(row, LabelledObjective):
        facts["data"] = "responses labelled good or bad (prompt, completion, label), or pairs taken apart"
    if row.batch_coupled:
        facts["training"] = "compares all pairs of a batch with each other, which costs one more forward pass"
    print_table(console, ("", ""), list(facts.items()))


def _parameters(defaults: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in defaults.items())

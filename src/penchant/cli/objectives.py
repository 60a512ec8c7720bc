"""`penchant objectives`: every loss that `penchant dpo --objective` takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from penchant.objectives import Objective

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
    from penchant.objectives import get_objective

    console = Console()
    if name is None:
        print_table(console, ("objective", "defaults", "when"), list(_every_objective()))
        return
    try:
        row = get_objective(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print_table(console, ("", ""), list(_facts(row).items()))


def _every_objective() -> Iterator[tuple[str, str, str]]:
    """Penchant's own and, by name alone, those that installed packages add."""
    from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES
    from penchant.plugins import added_names, package_of

    for row in (*OBJECTIVES.values(), *LABELLED_OBJECTIVES.values()):
        yield row.name, _defaults(row), row.when
    for name in added_names("penchant.objectives"):
        yield name, "", f"added by {package_of('penchant.objectives', name)}"


def _facts(row: Objective) -> dict[str, str]:
    from penchant.objectives import LabelledObjective

    facts = {
        "objective": row.name,
        "formula": row.formula,
        "defaults": _defaults(row) or "none",
        **{f"  {name}": f"{one.range}; {one.meaning}".removesuffix("; ") for name, one in row.parameters.items()},
        "reads": ", ".join((["reference"] if row.needs_reference else []) + sorted(row.reads)) or "the policy alone",
        "log-probs": "averaged over tokens" if row.normalisation == "mean" else "summed over tokens",
    }
    if row.paper:
        address = row.paper.arxiv if row.paper.arxiv.startswith("https:") else f"arXiv {row.paper.arxiv}"
        facts["source"] = f"{row.paper.title}, {address}, {row.paper.equation}"
    if row.when:
        facts["when"] = row.when
    if isinstance(row, LabelledObjective):
        facts["data"] = "responses labelled good or bad (prompt, completion, label), or pairs taken apart"
    if row.batch_coupled:
        facts["training"] = "compares all pairs of a batch with each other, which costs one more forward pass"
    return facts


def _defaults(row: Objective) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in row.defaults.items())

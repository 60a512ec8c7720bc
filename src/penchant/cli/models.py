"""`penchant models`: the models on this machine, and the starter model fetched."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "FoundModel", "app", "models_here"]

NAME = "models"
app = typer.Typer()


@dataclass(frozen=True)
class FoundModel:
    """name: what --model takes. kind: starter, converted (from GGUF) or hub. Unknown facts are None; size in bytes."""

    name: str
    kind: str
    path: str | None
    size: int | None
    num_parameters: int | None
    licence: str | None
    is_here: bool


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models on this machine: starter models, converted GGUF files, and the Hugging Face cache.

    [bold]Examples[/bold]

        penchant models

        penchant models --json

        penchant models pull smollm2-135m
    """
    if context.invoked_subcommand is not None:
        return
    found = list(models_here())
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in found], indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from penchant.cli.tables import print_table

    print_table(
        Console(highlight=False), ("model", "kind", "parameters", "size", "licence", "where"), list(map(_row, found))
    )
    if missing := [model.name for model in found if not model.is_here]:
        typer.echo(
            f"`penchant models pull {missing[0]}` fetches the starter model; the first use of it does so too", err=True
        )


@app.command()
def pull(name: Annotated[str, typer.Argument(help="A starter model's name.")] = "smollm2-135m") -> None:
    """Fetch a starter model, check it and convert it, once.

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


def models_here() -> Iterator[FoundModel]:
    """Every model found by looking into folders; no network, and no weights are read."""
    from penchant.models.cache import cache_folder
    from penchant.models.starter import STARTERS, installed_starters, starter_path

    installed = installed_starters()
    for name, known in STARTERS.items():
        folder = starter_path(name) if name in installed else None
        size = None if folder is None else _size(folder)
        where = None if folder is None else str(folder)
        yield FoundModel(name, "starter", where, size, known.num_parameters, known.licence, folder is not None)
    for folder in sorted((cache_folder() / "models").glob("*/")):
        if folder.name not in STARTERS and (folder / "complete").is_file():
            yield FoundModel(str(folder), "converted", str(folder), _size(folder), _num_parameters(folder), None, True)
    yield from _hub_models()


def _hub_models() -> Iterator[FoundModel]:
    """Whole models in the Hugging Face cache: models--OWNER--NAME/snapshots/COMMIT with a config and safetensors."""
    from huggingface_hub.constants import HF_HUB_CACHE

    for repository in sorted(Path(HF_HUB_CACHE).glob("models--*/")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        snapshots = [s for s in (repository / "snapshots").glob("*/") if (s / "config.json").is_file()]
        snapshots = [s for s in snapshots if list(s.glob("*.safetensors"))]
        if snapshots:
            newest = max(snapshots, key=lambda s: s.stat().st_mtime)
            yield FoundModel(name, "hub", str(newest), _size(newest), _num_parameters(newest), None, True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _num_parameters(folder: Path) -> int | None:
    """Counted in the headers of the safetensors files; None where one cannot be read."""
    total = 0
    try:
        for file in folder.glob("*.safetensors"):
            with file.open("rb") as stream:
                header = json.loads(stream.read(min(int.from_bytes(stream.read(8), "little"), 100_000_000)))
            total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return total


def _row(model: FoundModel) -> tuple[str, ...]:
    parameters = "" if model.num_parameters is None else f"{model.num_parameters:,}"
    size = "" if model.size is None else f"{model.size / 1e6:,.0f} MB"
    where = model.path if model.path else "not here yet"
    return model.name, model.kind, parameters, size, model.licence or "", "" if model.name == where else where

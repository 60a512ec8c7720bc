"""`penchant plan`: what a run would take, before anything of it is loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.training.planning import Plan

__all__ = ["NAME", "command"]

NAME = "plan"


def command(
    data: options.Preferences = None,
    model: options.ModelSetting = None,
    task: Annotated[str, typer.Option("--task", help="What is trained: dpo, sft or reward.")] = "dpo",
    device: Annotated[
        str | None, typer.Option("--device", help="A device by name, as h100.", show_default="this machine")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many of them, a process to each.")] = 1,
    watts: Annotated[
        float | None, typer.Option(min=0, help="What one draws, for the energy.", show_default="of its data sheet")
    ] = None,
    config: options.ConfigFile = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in one optimiser step.", show_default="8")] = None,
    max_pairs: Annotated[int | None, typer.Option(help="Use only this many rows.", show_default="all")] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens of prompt and response.", show_default="1024")
    ] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train a low-rank adapter instead of all weights.")] = False,
    chat_template: options.ChatTemplate = None,
    settings: options.Settings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plan a run: memory by part, tokens with and without sharing, time, and whether it fits. No weights are read.

    Exit code 0 if it fits, 1 if it does not.

    [bold]Examples[/bold]

        penchant plan --model smollm2-135m --data pairs.jsonl

        penchant plan -m ./my-8b -d pairs.jsonl --device h100 --processes 8

        penchant plan -d pairs.jsonl --lora --set optimiser.token_budget=4096 --json
    """
    given = locals()
    from penchant.cli.training import begin
    from penchant.errors import ConfigError
    from penchant.training.arguments import SETTING_OF
    from penchant.training.planning import SCHEMAS, plan_run

    if task not in SCHEMAS:
        raise ConfigError(f"task is one of {', '.join(SCHEMAS)}, got '{task}'; choose one of them")
    flags = {name: given[name] for name in SETTING_OF if name in given and name != "device"}
    flags |= {"lora": lora or None, "max_rows": max_pairs}
    with begin(SCHEMAS[task], flags, config, settings, None, writes=False) as (checked, reporter):
        plan = plan_run(checked, reporter, device=device, processes=processes, watts=watts)
    typer.echo(json.dumps(plan.as_dict(), indent=2) if as_json else "\n".join(_lines(plan)))
    if not plan.fits:
        raise typer.Exit(1)


def _lines(plan: Plan) -> list[str]:
    """Parts of the memory and of the time, with the largest figures first said."""
    energy = "" if plan.watt_hours is None else f", {plan.watt_hours:,.3g} Wh at full power"
    return [
        str(plan.counts),
        f"{plan.num_parameters:,} parameters, {plan.num_trained:,} of them trained",
        *(f"{size / 1e9:>10.3f} GB  {part}" for part, size in plan.memory.items() if size),
        *(f"{taken:>10.1f} s   {part}" for part, taken in plan.seconds.items() if taken),
        f"{plan.device.name} ({plan.device.source}): {plan}{energy}",
        *(f"  {proposal}" for proposal in plan.proposals),
    ]

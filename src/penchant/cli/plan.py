"""`penchant plan`: what a run would take, before anything of it is loaded."""

import json
from pathlib import Path
from typing import Any

import typer

from penchant.cli import options
from penchant.cli.declaring import option


def command(
    data: list[str] | None = options.PREFERENCES,
    model: str | None = options.MODEL,
    task: str = option("Kind of training: dpo, sft or reward.", default="dpo"),
    device: str | None = option("Device to plan for, such as h100.", shown="this machine"),
    processes: int = option("Number of these devices, one process each.", default=1, min=1),
    watts: float | None = option("Power draw of one device, for the energy.", shown="its data sheet's", min=0),
    config: Path | None = options.CONFIG,
    batch_size: int | None = option("Pairs per optimiser step.", shown="8"),
    max_rows: int | None = option("Use only this many rows.", "--max-pairs", shown="all"),
    max_length: int | None = option("Maximum tokens of prompt plus response.", shown="1024"),
    lora: bool = options.LORA,
    chat_template: str | None = options.CHAT_TEMPLATE,
    settings: list[str] | None = options.SETTINGS,
    as_json: bool = options.JSON,
) -> None:
    """Plan a run: memory by part, tokens with and without sharing, time, and whether it fits. No weights are read.

    Exit code 0 if it fits, 1 if it does not.

    [bold]Examples[/bold]
        penchant plan --model smollm2-135m --data pairs.jsonl
        penchant plan -m ./my-8b -d pairs.jsonl --device h100 --processes 8
        penchant plan -d pairs.jsonl --lora --set optimiser.token_budget=4096 --json
    """
    given = locals()
    import penchant
    from penchant.cli.training import begin
    from penchant.errors import ConfigError
    from penchant.training.planning import SCHEMAS

    if task not in SCHEMAS:
        raise ConfigError(f"task must be one of {', '.join(SCHEMAS)}, got '{task}'")
    of_the_run = given | {"device": None, "processes": 1}
    with begin(SCHEMAS[task], of_the_run, writes=False) as (checked, reporter):
        how: dict[str, Any] = {"device": device, "processes": processes, "watts": watts, "progress": reporter}
        plan = penchant.plan(None, None, task=task, config=checked, **how)
    typer.echo(json.dumps(plan.as_dict(), indent=2) if as_json else "\n".join(plan.in_words()))
    if not plan.fits:
        raise typer.Exit(1)

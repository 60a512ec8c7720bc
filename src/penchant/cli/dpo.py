"""`penchant dpo`: from a file of preferences to an aligned model."""

from __future__ import annotations

from typing import Annotated

import typer

from penchant.cli import options
from penchant.errors import ConfigError

__all__ = ["NAME", "command"]

NAME = "dpo"


def command(
    data: options.Preferences = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="The run folder to write.")] = None,
    model: options.ModelSetting = None,
    config: options.ConfigFile = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published recipe, beneath what is set beside it; `penchant objectives --presets` lists them.",
            show_default="none",
        ),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="The loss to minimise; `penchant objectives` lists them.", show_default="dpo")
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="How strongly the reference pulls.", show_default="the objective's own; 0.1 for dpo"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="The highest, after the warm-up.", show_default="1e-5 to 5e-7 by the steps; with LoRA 10x"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times through the data.", show_default="1")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in one optimiser step.", show_default="8")] = None,
    max_pairs: Annotated[int | None, typer.Option(help="Use only this many pairs.", show_default="all")] = None,
    subset: options.Subset = None,
    max_length: Annotated[
        int | None, typer.Option(help="Most tokens of prompt and response.", show_default="1024")
    ] = None,
    max_prompt_length: Annotated[
        int | None, typer.Option(help="Most tokens of a prompt.", show_default="--max-length less 1")
    ] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train a low-rank adapter instead of all weights.")] = False,
    seed: options.TrainingSeed = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    on_bad_row: options.OnBadRow = None,
    columns: options.Columns = None,
    format: options.Format = None,
    pairing: options.Pairing = None,
    min_gap: options.MinGap = None,
    labels: options.Labels = None,
    online: options.Online = False,
    prompts: options.PromptFiles = None,
    judge: options.OnlineJudge = None,
    judge_model: options.JudgeModel = None,
    settings: options.Settings = None,
    tracker: options.Trackers = None,
    resume: options.Resume = False,
    processes: options.Processes = 1,
    max_restarts: options.MaxRestarts = 0,
    advise: Annotated[
        bool, typer.Option("--advise", help="Propose settings from the data and the model, and train nothing.")
    ] = False,
) -> None:
    """Train a model on preferences by Direct Preference Optimization.

    [bold]Examples[/bold]

        penchant dpo --model smollm2-135m --data pairs.jsonl --output runs/first

        penchant dpo -m ./my-sft -d pairs.jsonl -o runs/lora --lora --epochs 2 --beta 0.05

        penchant dpo --config runs/first/config.yaml --output runs/ipo --objective ipo_mean

        penchant dpo --data pairs.jsonl --preset tulu3 --learning-rate 1e-6 --output runs/tulu3

        penchant dpo --data ./votes --labels soft --output runs/people

        penchant dpo --online --prompts everyday-train --judge positivity --output runs/online

        penchant dpo --data pairs.jsonl --output runs/first --resume

        penchant dpo --data pairs.jsonl --advise
    """
    given = locals()
    from penchant.cli.training import begin, show
    from penchant.training.arguments import SETTING_OF
    from penchant.training.config import DPOConfig

    flags = {name: given[name] for name in SETTING_OF if name in given} | {"lora": lora or None, "max_rows": max_pairs}
    unread = ("data", "labels", "advise") if online else ("prompts", "judge", "judge_model")
    if name := next((name for name in unread if given[name]), None):
        raise ConfigError(f"`{name}=...` is not read {'with' if online else 'without'} `online=True`; leave it out")
    flags |= {"data": prompts} if online else {}
    own = {"sampling.judge": judge, "sampling.judge_model": judge_model}
    together = {"processes": processes, "max_restarts": max_restarts}
    with begin(DPOConfig, flags, config, settings, tracker, own, writes=not advise, **together) as (checked, reporter):
        from penchant.online.run import run_online
        from penchant.training.proposing import proposals
        from penchant.training.run import dpo

        if advise:
            typer.echo("\n".join(map(str, proposals(checked, reporter))))
        elif online:
            show(run_online(checked, reporter, resume=resume), reporter)
        else:
            show(dpo(config=checked, labels=labels, resume=resume, progress=reporter), reporter)

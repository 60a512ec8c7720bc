"""`penchant reward`: from a file of preferences to a reward model."""

from __future__ import annotations

from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "reward"


def command(
    data: options.Preferences = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="The run folder to write.")] = None,
    model: options.ModelSetting = None,
    config: options.ConfigFile = None,
    centring: Annotated[
        float | None,
        typer.Option(
            help="Weight of the term that takes the mean of rewards to zero; 0.01 is usual.", show_default="0"
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up.", show_default="1e-5; with LoRA 1e-4")
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
    settings: options.Settings = None,
    tracker: options.Trackers = None,
    resume: options.Resume = False,
    processes: options.Processes = 1,
    max_restarts: options.MaxRestarts = 0,
) -> None:
    """Train a reward model: a language model whose head gives one number for a response, higher for better.

    It is trained on the likelihood of the preferences (Bradley and Terry), and what is written is loaded by
    transformers' AutoModelForSequenceClassification. It judges by --judge reward:FOLDER and scores pairs.

    [bold]Examples[/bold]

        penchant reward --model smollm2-135m --data pairs.jsonl --output runs/reward

        penchant reward -m ./my-sft -d pairs.jsonl -o runs/reward --lora --centring 0.01

        penchant score --model runs/reward --data held_out.jsonl
    """
    given = locals()
    from penchant.cli.training import begin, show
    from penchant.training.arguments import SETTING_OF
    from penchant.training.config import RewardConfig

    flags = {name: given[name] for name in SETTING_OF if name in given} | {"lora": lora or None, "max_rows": max_pairs}
    with begin(RewardConfig, flags, config, settings, tracker, processes=processes, max_restarts=max_restarts) as (
        checked,
        reporter,
    ):
        from penchant.training.other_runs import reward

        show(reward(config=checked, labels=labels, resume=resume, progress=reporter), reporter)

"""`penchant sft`: next-token training on demonstrations or plain text."""

from __future__ import annotations

from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "sft"


def command(
    data: options.Texts = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="The run folder to write.")] = None,
    model: options.ModelSetting = None,
    config: options.ConfigFile = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up.", show_default="2e-5; with LoRA 2e-4")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times through the data.", show_default="1")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Texts in one optimiser step.", show_default="16")] = None,
    max_rows: Annotated[int | None, typer.Option(help="Use only this many rows.", show_default="all")] = None,
    subset: options.Subset = None,
    max_length: Annotated[
        int | None,
        typer.Option(help="Most tokens of a text; longer plain text is cut into pieces.", show_default="1024"),
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
    settings: options.Settings = None,
    tracker: options.Trackers = None,
    resume: options.Resume = False,
    processes: options.Processes = 1,
    max_restarts: options.MaxRestarts = 0,
) -> None:
    """Train a model on next tokens: the assistant's turns of conversations, or all of plain text.

    [bold]Examples[/bold]

        penchant sft --model smollm2-135m --data demonstrations.jsonl --output runs/sft

        penchant sft -m ./base --chat-template plain -d stories.txt.gz -o runs/stories --max-length 512
    """
    given = locals()
    from penchant.cli.training import begin, show
    from penchant.training.arguments import SETTING_OF
    from penchant.training.config import SFTConfig

    flags = {name: given[name] for name in SETTING_OF if name in given} | {"lora": lora or None}
    with begin(SFTConfig, flags, config, settings, tracker, processes=processes, max_restarts=max_restarts) as (
        checked,
        reporter,
    ):
        from penchant.training.other_runs import sft

        show(sft(config=checked, resume=resume, progress=reporter), reporter)

"""`penchant export`: one plain model folder that every other tool loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "export"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, or any other model that --model takes elsewhere.")],
    merged: Annotated[Path, typer.Option("--merged", help="The folder to write; an adapter is folded into its model.")],
    dtype: Annotated[
        str, typer.Option("--dtype", help="Precision of the written weights: float32, bfloat16 or float16.")
    ] = "float32",
    chat_template: options.ChatTemplate = None,
) -> None:
    """Write a model that needs no adapter: the trained weights, tokenizer and chat template in one folder.

    The written model is read back and compared with the trained one; if it computes anything else, the export fails.
    Where embedding and head are one weight and an adapter changes only one of them, they are written as two weights.
    provenance.json in the folder says where the model came from, for `penchant lineage` and `penchant verify`.

    Load it with transformers' AutoModelForCausalLM.from_pretrained, or serve it with vLLM, llama.cpp or Ollama.

    [bold]Examples[/bold]

        penchant export runs/lora --merged ./my-model

        penchant export runs/lora --merged ./my-model --dtype bfloat16
    """
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        from penchant.training.export import export_model

        done = export_model(run, merged, dtype=dtype, chat_template=chat_template, reporter=reporter)
        kind = "adapter folded into its model" if done.was_adapter else "whole model"
        reporter.say(f"{run}: {kind}, {dtype}, {done.num_bytes / 1e6:,.0f} MB")
    typer.echo(merged)

"""`penchant export`: one plain model folder that every other tool loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "export"
DTYPES = ("float32", "bfloat16", "float16")


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

    Load it with transformers' AutoModelForCausalLM.from_pretrained, or serve it with vLLM, llama.cpp or Ollama.

    [bold]Examples[/bold]

        penchant export runs/lora --merged ./my-model

        penchant export runs/lora --merged ./my-model --dtype bfloat16
    """
    from penchant.errors import ConfigError
    from penchant.files.place import require_place

    if dtype not in DTYPES:
        raise ConfigError(f"--dtype is one of {', '.join(DTYPES)}, got '{dtype}'; choose one of them")
    _require_room(merged)
    require_place(merged, "--merged")
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        reporter.say(f"loading {run}")
        import torch

        from penchant.files.whole import disk_errors_explained
        from penchant.models.load import load_model, read_chat_template, resolve
        from penchant.models.merging import save_merged
        from penchant.models.numerics import choose_numerics

        path = resolve(run, reporter.say)
        template = read_chat_template(chat_template)
        model = load_model(str(path), choose_numerics("cpu", "float32"), chat_template=template, share=False)
        kind = "adapter folded into its model" if model.is_adapter else "whole model"
        with disk_errors_explained(merged, again="run the command again", elsewhere="choose another --merged"):
            save_merged(model, merged, dtype=getattr(torch, dtype), say=reporter.say)
        size = sum(file.stat().st_size for file in merged.iterdir())
        reporter.say(f"{run}: {kind}, {dtype}, {size / 1e6:,.0f} MB")
    typer.echo(merged)


def _require_room(folder: Path) -> None:
    from penchant.errors import OutputError

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: exists and is not an empty folder; choose another --merged")

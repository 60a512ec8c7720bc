"""`penchant export`: a model for other tools, as one plain folder, one GGUF file, or a repository on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "export"


def command(
    run: Annotated[str, typer.Argument(help="A run folder, or any other model that --model takes elsewhere.")],
    merged: Annotated[
        Path | None, typer.Option("--merged", help="The folder to write; an adapter is folded into its model.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Precision of the weights in the folder: float32, bfloat16 or float16.")
    ] = "float32",
    gguf: Annotated[
        Path | None, typer.Option("--gguf", help="The GGUF file to write, for llama.cpp and Ollama.")
    ] = None,
    gguf_type: Annotated[
        str | None, typer.Option("--gguf-type", help="Its weights: f32, f16 or q8_0.", show_default="f16")
    ] = None,
    ollama: Annotated[bool, typer.Option("--ollama", help="Write an Ollama Modelfile beside the GGUF file.")] = False,
    push: Annotated[
        str | None, typer.Option("--push", help="Send the folder to this repository on the Hub.", metavar="OWNER/NAME")
    ] = None,
    private: Annotated[bool, typer.Option(help="Whether nobody else may read a repository that is made.")] = True,
    chat_template: options.ChatTemplate = None,
) -> None:
    """Write a model that needs no adapter: the trained weights, tokenizer and chat template in one folder or one file.

    What is written is read back and compared with the trained model; if it computes anything else, the export fails.
    Where embedding and head are one weight and an adapter changes only one of them, they are written as two weights.
    provenance.json in the folder says where the model came from, for `penchant lineage` and `penchant verify`.

    Load the folder with transformers' AutoModelForCausalLM.from_pretrained, or serve it with vLLM; load the file with
    llama.cpp, or, by its Modelfile, with Ollama.

    [bold]Examples[/bold]

        penchant export runs/lora --merged ./my-model

        penchant export runs/lora --merged ./my-model --dtype bfloat16 --push me/my-model

        penchant export runs/lora --gguf my-model.gguf --gguf-type q8_0 --ollama
    """
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        from penchant.training.export import export

        done = export(
            run,
            merged=merged,
            dtype=dtype,
            gguf=gguf,
            gguf_type=gguf_type,
            ollama=ollama,
            push=push,
            private=private,
            chat_template=chat_template,
            reporter=reporter,
        )
        for one in done:
            size = f", {one.num_bytes / 1e6:,.3g} MB" if one.num_bytes else ""
            reporter.say(f"{run}: {one.kind}{size}")
    for one in done:
        typer.echo(one.place)

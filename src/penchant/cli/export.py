"""`penchant export`: a model for other tools, as one plain folder, one GGUF file, or a repository on the Hub."""

from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option


def command(
    run: str = argument("A run folder, or any other model that --model accepts."),
    merged: Path | None = option("Folder to write, with an adapter merged into its model."),
    dtype: str | None = option(
        "Precision of the weights in the folder: float32, bfloat16 or float16.", shown="float32"
    ),
    gguf: Path | None = option("The GGUF file to write, for llama.cpp and Ollama."),
    gguf_type: str | None = option("Type of its weights: f32, f16 or q8_0.", shown="f16"),
    ollama: bool = flag("--ollama", "Write an Ollama Modelfile beside the GGUF file."),
    push: str | None = option("Upload the folder to this Hub repository.", metavar="OWNER/NAME"),
    private: bool | None = option("Make a new Hub repository private.", shown="private"),
    chat_template: str | None = options.CHAT_TEMPLATE,
) -> None:
    """Write a model that needs no adapter: the trained weights, tokenizer and chat template in one folder or one file.

    The export is read back and compared with the trained model, and fails if it computes anything else. Tied embedding
    and head weights are written as two weights if an adapter changes only one of them. provenance.json in the folder
    records where the model came from, for `penchant lineage` and `penchant verify`.

    Load the folder with transformers' AutoModelForCausalLM.from_pretrained, or serve it with vLLM; load the file with
    llama.cpp or, with its Modelfile, Ollama.

    [bold]Examples[/bold]
        penchant export runs/lora --merged ./my-model
        penchant export runs/lora --merged ./my-model --dtype bfloat16 --push me/my-model
        penchant export runs/lora --gguf my-model.gguf --gguf-type q8_0 --ollama
    """
    how = {name: value for name, value in locals().items() if name != "run"}
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        import penchant
        from penchant.wording import bytes_in_words

        done = penchant.export(run, **how, progress=reporter)
        for one in done:
            size = f", {bytes_in_words(one.num_bytes)}" if one.num_bytes else ""
            reporter.say(f"{run}: {one.kind}{size}")
    for one in done:
        typer.echo(one.place)

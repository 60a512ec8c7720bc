"""`penchant export`: a model for other tools, as one plain folder, one GGUF file, or a repository on the Hub."""

from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option


def command(
    run: str = argument("A run folder, or any other model that --model takes elsewhere."),
    merged: Path | None = option("The folder to write; an adapter is folded into its model."),
    dtype: str | None = option(
        "Precision of the weights in the folder: float32, bfloat16 or float16.", shown="float32"
    ),
    gguf: Path | None = option("The GGUF file to write, for llama.cpp and Ollama."),
    gguf_type: str | None = option("Its weights: f32, f16 or q8_0.", shown="f16"),
    ollama: bool = flag("--ollama", "Write an Ollama Modelfile beside the GGUF file."),
    push: str | None = option("Send the folder to this repository on the Hub.", metavar="OWNER/NAME"),
    private: bool | None = option("Whether nobody else may read a repository that is made.", shown="private"),
    chat_template: str | None = options.CHAT_TEMPLATE,
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
    how = {name: value for name, value in locals().items() if name != "run"}
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        from penchant.training.export import export
        from penchant.wording import bytes_in_words

        done = export(run, **how, reporter=reporter)
        for one in done:
            size = f", {bytes_in_words(one.num_bytes)}" if one.num_bytes else ""
            reporter.say(f"{run}: {one.kind}{size}")
    for one in done:
        typer.echo(one.place)

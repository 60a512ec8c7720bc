"""Options that several commands share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BatchSize",
    "ChatTemplate",
    "ConfigFile",
    "Device",
    "Dtype",
    "Labels",
    "MaxNewTokens",
    "Model",
    "ModelSetting",
    "OnBadRow",
    "PromptFile",
    "Resume",
    "Settings",
    "SpecialTokens",
    "Temperature",
    "TopK",
    "TopP",
]

MODEL_HELP = "A starter's name, a Hugging Face folder, a run folder, a .gguf file or a Hub name."
Model = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
ModelSetting = Annotated[str | None, typer.Option("--model", "-m", help=MODEL_HELP, show_default="smollm2-135m")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.", show_default="auto")]
Dtype = Annotated[str | None, typer.Option("--dtype", help="auto, float32 or bfloat16.", show_default="auto")]
ChatTemplate = Annotated[
    str | None,
    typer.Option(
        "--chat-template",
        help="'plain' for a model of raw text, or the path of a Jinja template.",
        show_default="the tokenizer's own",
    ),
]
SpecialTokens = Annotated[
    str | None,
    typer.Option(
        "--special-tokens",
        help="A text that spells a special token: refuse the row, read it as text, or as the control token.",
        metavar="refuse|text|control",
        show_default="refuse",
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting as section.key=value; may be repeated.", metavar="KEY=VALUE"),
]
OnBadRow = Annotated[
    str | None, typer.Option("--on-bad-row", help="drop (and list them) or error.", show_default="drop")
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="How the votes of a project become pairs: the majority decides, or soft labels say how sure they are.",
        show_default="majority",
        metavar="majority|soft",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --output, bit for bit.")]
Temperature = Annotated[float, typer.Option("--temperature", "-t", help="0 always takes the likeliest token.")]
TopP = Annotated[
    float, typer.Option("--top-p", help="Sample from the likeliest tokens that make up this share; 1 is all.")
]
TopK = Annotated[int, typer.Option("--top-k", help="Sample from so many likeliest tokens; 0 is all.")]
PromptFile = Annotated[
    str, typer.Option("--prompts", "-p", help="A file of prompts, or one of everyday-train and everyday-test.")
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", help="Longest response, in tokens.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Responses sampled at once.")]

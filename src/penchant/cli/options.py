"""Options that several commands share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BatchSize",
    "ChatTemplate",
    "Columns",
    "ConfigFile",
    "Device",
    "Dtype",
    "Format",
    "JudgeModel",
    "Labels",
    "MaxNewTokens",
    "MaxPrompts",
    "MaxRestarts",
    "Model",
    "ModelSetting",
    "OnBadRow",
    "Online",
    "OnlineJudge",
    "Preferences",
    "Processes",
    "PromptFile",
    "PromptFiles",
    "Resume",
    "Settings",
    "SpecialTokens",
    "Subset",
    "Temperature",
    "Texts",
    "TopK",
    "TopP",
    "TrainingSeed",
]

MODEL_HELP = "A starter model's name, a Hugging Face folder, a run folder, a .gguf file or a Hub name."
Model = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
ModelSetting = Annotated[str | None, typer.Option("--model", "-m", help=MODEL_HELP, show_default="smollm2-135m")]
Device = Annotated[
    str | None, typer.Option("--device", help="What computes: auto, cpu, cuda or mps.", show_default="auto")
]
Dtype = Annotated[
    str | None, typer.Option("--dtype", help="Precision: auto, float32 or bfloat16.", show_default="auto")
]
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
        help="A text that spells a special token: refuse its row, read it as plain text, or as the token itself.",
        metavar="refuse|text|control",
        show_default="refuse",
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A YAML file with any of the settings.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting as section.key=value; may be repeated.", metavar="KEY=VALUE"),
]
KINDS = "files, folders, hub:owner/name, votes; may be repeated. NAME::weight=2,max_rows=99 weighs and caps one."
Preferences = Annotated[list[str] | None, typer.Option("--data", "-d", help=f"Preferences: {KINDS}")]
Texts = Annotated[list[str] | None, typer.Option("--data", "-d", help=f"Conversations or text: {KINDS}")]
SUBSET_HELP = "Which rows a limit takes: head (the first) or random (by the seed)."
Subset = Annotated[str | None, typer.Option("--subset", help=SUBSET_HELP, show_default="head")]
OnBadRow = Annotated[
    str | None,
    typer.Option("--on-bad-row", help="Rows that cannot be used: drop and list them, or error.", show_default="drop"),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns", help="Columns to read under other names.", metavar="COLUMN=NAME,...", show_default="none"
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", help="Read rows by this format.", show_default="the first that fits")
]
Pairing = Annotated[
    str | None, typer.Option(help="Pairs of a list: all, best_worst, best_random or adjacent.", show_default="all")
]
MinGap = Annotated[float | None, typer.Option(help="Smallest gap of scores or ranks for a pair.", show_default="any")]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="What several votes on one pair become: the answer of the majority, or a soft label (how sure they are).",
        show_default="majority",
        metavar="majority|soft",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --output, bit for bit.")]
Temperature = Annotated[
    float, typer.Option("--temperature", "-t", help="Randomness; 0 always takes the likeliest token.")
]
TopP = Annotated[
    float, typer.Option("--top-p", help="Only the likeliest tokens that together have this share; 1: all.")
]
TopK = Annotated[int, typer.Option("--top-k", help="Only this many of the likeliest tokens; 0: all.")]
PromptFile = Annotated[
    str, typer.Option("--prompts", "-p", help="A file of prompts, or one of everyday-train and everyday-test.")
]
MaxNewTokens = Annotated[int, typer.Option("--max-new-tokens", help="Longest response, in tokens.")]
MaxPrompts = Annotated[
    int | None, typer.Option(min=1, help="Use only this many prompts, from the start.", show_default="all")
]
TrainingSeed = Annotated[
    int | None,
    typer.Option(help="Decides the data's order, what is held out, and an adapter's start.", show_default="0"),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Responses sampled at once.")]
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        "--tracker",
        help="Told of every step: tensorboard, wandb, trackio, mlflow, or module:name of your own; may be repeated.",
        metavar="NAME",
        show_default="none",
    ),
]
PromptFiles = Annotated[
    list[str] | None, typer.Option("--prompts", "-p", help="Files of prompts, or everyday-train; may be repeated.")
]
Online = Annotated[
    bool, typer.Option("--online", help="Make the pairs while training: responses of its own to --prompts, judged.")
]
OnlineJudge = Annotated[
    str | None, typer.Option("--judge", help="With --online: a name, reward:FOLDER, run:FOLDER, module:function, URL.")
]
JudgeModel = Annotated[str | None, typer.Option("--judge-model", help="Of an endpoint: the model that judges.")]
Processes = Annotated[int, typer.Option("--processes", min=1, help="Processes of this machine that share the work.")]
MaxRestarts = Annotated[
    int, typer.Option("--max-restarts", min=0, help="How often all go on from a checkpoint after one was killed.")
]

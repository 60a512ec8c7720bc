"""`penchant check`: what a file of data is, what is wrong with it and where, and what the model will read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options
from penchant.cli.hints import typed

__all__ = ["NAME", "command"]

NAME = "check"
NUM_PROBLEMS = 20
SAME = ("max_length", "max_prompt_length", "chat_template", "columns", "format", "pairing")


def command(
    files: Annotated[list[Path], typer.Argument(help="Preference pairs or demonstrations, or a project of votes.")],
    model: options.Model = "smollm2-135m",
    max_length: Annotated[int, typer.Option(min=8, help="Most tokens of prompt and response.")] = 1024,
    max_prompt_length: Annotated[
        int | None, typer.Option(min=1, help="Most tokens of a prompt.", show_default="--max-length less 1")
    ] = None,
    chat_template: options.ChatTemplate = None,
    special_tokens: options.SpecialTokens = None,
    labels: options.Labels = None,
    columns: options.Columns = None,
    format: options.Format = None,
    pairing: options.Pairing = None,
    min_gap: options.MinGap = None,
    num_examples: Annotated[int, typer.Option(min=0, help="How many rows to show as the model reads them.")] = 3,
    ids: Annotated[bool, typer.Option("--ids", help="Show token ids too.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help=f"List every problem, not the first {NUM_PROBLEMS}.")] = False,
    ches: Annotated[
        bool, typer.Option("--ches", help="Load the model, and say which of the first pairs are most alike to it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every problem in it.")] = False,
) -> None:
    """Look at data before training on it: format, bad rows, lengths, and the tokens with their loss mask.

    Exit code 0 if every row can be used, 1 if some cannot, 2 if a file cannot be read.

    [bold]Examples[/bold]

        penchant check pairs.jsonl --model ./my-sft

        penchant check pairs.jsonl --all --num-examples 0

        penchant check stories.jsonl --model ./base --chat-template plain --ids

        penchant check ./votes --labels soft

        penchant check pairs.jsonl --json > findings.json
    """
    given = locals()
    from rich.console import Console

    from penchant.cli import check_shown
    from penchant.cli.console import Reporter
    from penchant.feedback.snapshots import resolve_projects

    read = [Path(file) for file in resolve_projects([*map(str, files)], "pairs", labels=labels, say=Reporter().say)]
    with Reporter() as reporter:
        reporter.say(f"reading the tokenizer of {model}")  # before the libraries are: they take some seconds themselves
        from penchant.tokens import special_tokens_of
        from penchant.training.checking import check_data

        report = check_data(
            read,
            model,
            **{name: given[name] for name in SAME},
            special_tokens=special_tokens_of(special_tokens),
            min_gap=min_gap or 0.0,
            most_items=num_examples,
            ches=ches,
            reporter=reporter,
        )
    if as_json:
        facts = report.as_dict()
        for problem in facts["problems"]:
            problem["fix"] = typed(problem["fix"])
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        most = None if show_all else NUM_PROBLEMS
        check_shown.show_report(Console(highlight=False), report, most, num_examples, ids)
    if report.num_bad:
        raise typer.Exit(1)

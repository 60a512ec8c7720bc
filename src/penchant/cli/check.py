"""`penchant check`: what a file of data is, what is wrong with it and where, and what the model will read."""

import json
from pathlib import Path

import typer

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option
from penchant.cli.hints import typed

NUM_PROBLEMS = 20


def command(
    *,
    files: list[Path] = argument("Files of preference pairs or demonstrations, or a vote project."),
    model: str = option(options.MODEL_HELP, "--model -m", default="smollm2-135m"),
    max_length: int = option("Maximum tokens of prompt plus response.", default=1024, min=8),
    max_prompt_length: int | None = option("Maximum tokens of the prompt.", shown="--max-length less 1", min=1),
    chat_template: str | None = options.CHAT_TEMPLATE,
    special_tokens: str | None = options.SPECIAL_TOKENS,
    labels: str | None = options.LABELS,
    reading: options.Reading,
    num_examples: int = option("Number of rows to show as the model reads them.", default=3, min=0),
    ids: bool = flag("--ids", "Show token ids too."),
    show_all: bool = flag("--all", f"List every problem, not only the first {NUM_PROBLEMS}."),
    ches: bool = flag("--ches", "Load the model and list which of the first pairs have the most similar sides."),
    as_json: bool = flag("--json", "Print JSON, with every problem in it."),
) -> None:
    """Check data before training on it: format, bad rows, lengths, and the tokens with their loss mask.

    Exit code 0 if every row can be used, 1 if some cannot, 2 if a file cannot be read.

    [bold]Examples[/bold]
        penchant check pairs.jsonl --model ./my-sft
        penchant check pairs.jsonl --all --num-examples 0
        penchant check stories.jsonl --model ./base --chat-template plain --ids
        penchant check ./votes --labels soft
        penchant check pairs.jsonl --json > findings.json
    """
    import penchant
    from penchant.cli import check_shown
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        report = penchant.check(
            files,
            model,
            max_length=max_length,
            max_prompt_length=max_prompt_length,
            chat_template=chat_template,
            special_tokens=special_tokens,
            labels=labels,
            **vars(reading),
            num_examples=num_examples,
            ches=ches,
            progress=reporter,
        )
    if as_json:
        facts = report.as_dict()
        for problem in facts["problems"]:
            problem["fix"] = typed(problem["fix"])
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        check_shown.show_report(report, None if show_all else NUM_PROBLEMS, num_examples, ids)
    if report.num_bad:
        raise typer.Exit(1)

"""`penchant frontier`: methods at several strengths from one start, the true reward against the KL."""

from pathlib import Path

from penchant.cli.declaring import argument, option


def command(
    file: Path = argument("A YAML file that says which methods, how strong, from where."),
    output: Path = option("The folder of all runs, figures and numbers.", "--output -o", default=...),
    judge: str | None = option("The true reward, in place of the file's.", shown="the file's"),
) -> None:
    """Train by several methods at several strengths from one start, and draw what each reaches against its KL.

    All share one start, one split of the prompts, one pool of sampled answers and preferences, and one reward model.
    Every point is a run folder of its own, and stands in points.jsonl as soon as it is measured: give the same command
    again, and it goes on where it was stopped.

    [bold]Examples[/bold]
        penchant frontier examples/frontier-sentiment.yaml --output runs/frontier
        penchant frontier study.yaml --output runs/study --judge my_judges:brevity
    """
    from penchant.cli.study import show
    from penchant.studies import frontier

    show(frontier, file, output, judge)

"""`penchant frontier`: methods at several strengths from one start, the true reward against the KL."""

from pathlib import Path

from penchant.cli.declaring import argument, option


def command(
    file: Path = argument("A YAML file with the methods, their strengths and the initial model."),
    output: Path = option("Folder for all runs, figures and numbers.", "--output -o", default=...),
    judge: str | None = option("The true reward, instead of the file's.", shown="the file's"),
) -> None:
    """Train one model by several methods at several strengths, and plot the true reward of each against its KL.

    All share one initial model, one split of the prompts, one pool of sampled answers and preferences, and one reward
    model. Every point is a run folder of its own and is added to points.jsonl once it is measured. After a stop, the
    same command continues.

    [bold]Examples[/bold]
        penchant frontier examples/frontier-sentiment.yaml --output runs/frontier
        penchant frontier study.yaml --output runs/study --judge my_judges:brevity
    """
    import penchant
    from penchant.cli.study import show

    show(penchant.frontier, file, output, judge)

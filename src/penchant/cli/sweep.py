"""`penchant sweep`: one method on a grid of settings, and the best of it within a budget of KL."""

from pathlib import Path

from penchant.cli.declaring import argument, option


def command(
    file: Path = argument("A YAML file that says which settings, from where, and how far."),
    output: Path = option("The folder of all runs, figures and numbers.", "--output -o", default=...),
    judge: str | None = option("The true reward, in place of the file's.", shown="the file's"),
) -> None:
    """Train one method on a grid of settings, and pick what wins most on held-out prompts within a budget of KL.

    How many preferences a model gets right is shown and decides nothing: a model can rank pairs better and write worse
    answers. Goes on where it was stopped, as `penchant frontier` does.

    [bold]Examples[/bold]
        penchant sweep examples/sweep-sentiment.yaml --output runs/sweep
    """
    from penchant.cli.study import show
    from penchant.studies import sweep

    show(sweep, file, output, judge)

"""`penchant sweep`: one method on a grid of settings, and the best of it within a budget of KL."""

from pathlib import Path

from penchant.cli.declaring import argument, option


def command(
    file: Path = argument("A YAML file with the grid, the initial model and the KL budget."),
    output: Path = option("Folder for all runs, figures and numbers.", "--output -o", default=...),
    judge: str | None = option("The true reward, instead of the file's.", shown="the file's"),
) -> None:
    """Train one method on a grid of settings, and pick the highest held-out win rate within a KL budget.

    Preference accuracy is shown but does not decide: a model can rank pairs better and write worse answers. After a
    stop, the same command continues, as with `penchant frontier`.

    [bold]Examples[/bold]
        penchant sweep examples/sweep-sentiment.yaml --output runs/sweep
    """
    import penchant
    from penchant.cli.study import show

    show(penchant.sweep, file, output, judge)

"""`penchant pair`: preference pairs from sampled answers, by a judge's scores or by who wrote them."""

from pathlib import Path
from typing import cast

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option


def command(
    *,
    samples: list[Path] = argument("Files that `penchant sample` wrote, of one model or several."),
    output: Path = option("The pairs, JSON lines.", "--output -o", default=...),
    judge: str | None = option(
        "What scores answers: positivity, reward:FOLDER, or module:function of your own.", shown="none"
    ),
    rule: str = option(
        "best_worst, best_random, adjacent or all of a prompt's answers by score; delta: the first file's "
        "over the second's.",
        default="best_worst",
    ),
    min_gap: float = option("Smallest gap of scores for a pair.", default=0.0, shown="any"),
    max_length_ratio: float | None = option("How much longer the longer side may be, as 2.", shown="any"),
    finished: bool = flag("--finished", "Leave out answers cut at the limit."),
    order: str = option(
        "prompts: as they come; easy_first: the largest gap of scores first; least_alike_first: lowest CHES.",
        default="prompts",
    ),
    ches_model: str | None = option("The model by which it is measured how alike a pair's sides are.", shown="none"),
    drop_alike: float = option("Share of the pairs to leave out, the most alike to that model, as 0.25.", default=0.0),
    loading: options.Loading,
) -> None:
    """Make preference pairs of the answers that one or several models gave to the same prompts.

    Answers to one prompt are pooled over the files. What decided on a pair is written in its `meta`: the rule, the
    judge and its scores, and which models wrote the two sides.

    [bold]Examples[/bold]
        penchant pair samples.jsonl --judge positivity --min-gap 1 --output pairs.jsonl
        penchant pair base.jsonl run.jsonl --judge my_judges:brevity --rule all --output pairs.jsonl
        penchant pair large.jsonl small.jsonl --rule delta --max-length-ratio 2 --output pairs.jsonl
    """
    from penchant.cli.console import Reporter
    from penchant.data.pair_building import BuildingRule, Choice, Order
    from penchant.evaluation.pairs import pairs_from

    choice = Choice(cast(BuildingRule, rule), min_gap, max_length_ratio, finished, cast(Order, order), drop_alike)
    with Reporter() as reporter:
        built = pairs_from(
            samples,
            choice,
            judge,
            ches_model=ches_model,
            **vars(loading),
            output=output,
            reporter=reporter,
        )
        reporter.say(*built.in_words(), f"pairs   {output}")

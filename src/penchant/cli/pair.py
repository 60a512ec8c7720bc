"""`penchant pair`: preference pairs from sampled answers, by a judge's scores or by the model that wrote them."""

from pathlib import Path

from penchant.cli import options
from penchant.cli.declaring import argument, flag, option


def command(
    *,
    samples: list[Path] = argument("Files written by `penchant sample`, from one model or several."),
    output: Path = option("JSON Lines file of pairs to write.", "--output -o", default=...),
    judge: str | None = option(
        "What scores the answers: positivity, reward:FOLDER, or module:function of your own.", shown="none"
    ),
    rule: str = option(
        "Pairs of each prompt's answers by score: best_worst, best_random, adjacent or all; or delta: the first "
        "file's answer is preferred to the second's.",
        default="best_worst",
    ),
    min_gap: float = option("Minimum score difference for a pair.", default=0.0, shown="any"),
    max_length_ratio: float | None = option("Maximum ratio of the longer side to the shorter, such as 2.", shown="any"),
    finished: bool = flag("--finished", "Leave out answers cut off at the token limit."),
    order: str = option(
        "prompts: as given; easy_first: largest score difference first; least_alike_first: lowest CHES score first.",
        default="prompts",
    ),
    ches_model: str | None = option("Model that measures how similar a pair's sides are (CHES).", shown="none"),
    drop_alike: float = option("Fraction of pairs to drop, those most similar by CHES, such as 0.25.", default=0.0),
    loading: options.Loading,
) -> None:
    """Make preference pairs from the answers that one or several models gave to the same prompts.

    Answers to one prompt are pooled over the files. Each pair's `meta` records how it was chosen: the rule,
    the judge and its scores, and which models wrote the two sides.

    [bold]Examples[/bold]
        penchant pair samples.jsonl --judge positivity --min-gap 1 --output pairs.jsonl
        penchant pair base.jsonl run.jsonl --judge my_judges:brevity --rule all --output pairs.jsonl
        penchant pair large.jsonl small.jsonl --rule delta --max-length-ratio 2 --output pairs.jsonl
    """
    import penchant
    from penchant.cli.console import Reporter

    with Reporter() as reporter:
        built = penchant.pair(
            samples,
            judge,
            rule=rule,  # type: ignore[arg-type]
            min_gap=min_gap,
            max_length_ratio=max_length_ratio,
            finished=finished,
            order=order,  # type: ignore[arg-type]
            ches_model=ches_model,
            drop_alike=drop_alike,
            **vars(loading),
            output=output,
            progress=reporter,
        )
        reporter.say(*built.in_words(), f"pairs   {output}")

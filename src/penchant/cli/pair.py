"""`penchant pair`: preference pairs from sampled answers, by a judge's scores or by who wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.data.pair_building import BuildingRule, Order

__all__ = ["NAME", "command"]

NAME = "pair"


def command(
    samples: Annotated[list[Path], typer.Argument(help="Files that `penchant sample` wrote, of one model or several.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The pairs, JSON lines.")],
    judge: Annotated[
        str | None,
        typer.Option(
            help="What scores answers: positivity, reward:FOLDER, or module:function of your own.", show_default="none"
        ),
    ] = None,
    rule: Annotated[
        str,
        typer.Option(
            help="best_worst, best_random, adjacent or all of a prompt's answers by score; delta: the first file's "
            "over the second's.",
        ),
    ] = "best_worst",
    min_gap: Annotated[float, typer.Option(help="Smallest gap of scores for a pair.", show_default="any")] = 0.0,
    max_length_ratio: Annotated[
        float | None, typer.Option(help="How much longer the longer side may be, as 2.", show_default="any")
    ] = None,
    finished: Annotated[bool, typer.Option("--finished", help="Leave out answers cut at the limit.")] = False,
    order: Annotated[
        str,
        typer.Option(
            help="prompts: as they come; easy_first: the largest gap of scores first; least_alike_first: lowest CHES."
        ),
    ] = "prompts",
    ches_model: Annotated[
        str | None,
        typer.Option(
            help="Model to which it is measured how alike both sides of a pair are; --chat-template is its.",
            show_default="none",
        ),
    ] = None,
    drop_alike: Annotated[
        float, typer.Option(help="Share of the pairs to leave out, the most alike to that model, as 0.25.")
    ] = 0.0,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
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
    from penchant.data.pair_building import Choice
    from penchant.evaluation.pairs import pairs_from

    choice = Choice(cast("BuildingRule", rule), min_gap, max_length_ratio, finished, cast("Order", order), drop_alike)
    with Reporter() as reporter:
        built = pairs_from(
            samples,
            choice,
            judge,
            ches_model=ches_model,
            device=device,
            dtype=dtype,
            chat_template=chat_template,
            output=output,
            reporter=reporter,
            on_progress=lambda done, total: reporter.progress("pairing", done, total, {}),
        )
        for line in built.in_words():
            reporter.say(line)
        reporter.say(f"pairs   {output}")

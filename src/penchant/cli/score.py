"""`penchant score`: the model as a reward model, on pairs that people judged."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from penchant.cli import options

if TYPE_CHECKING:
    from penchant.data import OnBadRow

__all__ = ["NAME", "command"]

NAME = "score"
NUM_SHOWN = 10
SAME = ("reference", "beta", "max_pairs", "max_length", "special_tokens", "columns", "format", "pairing")


def command(
    model: options.Model,
    data: Annotated[list[str], typer.Option("--data", "-d", help="Preference files, or a project; may be repeated.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="JSON lines to write; - for standard output.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="The model it was trained against.", show_default="the run's")
    ] = None,
    beta: Annotated[
        float | None, typer.Option("--beta", help="Scale of the rewards.", show_default="the run's")
    ] = None,
    max_pairs: Annotated[
        int | None,
        typer.Option(min=1, help="Use only this many pairs, from the start of the data.", show_default="all"),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=8, help="Most tokens of prompt and response.", show_default="the run's, else 1024")
    ] = None,
    special_tokens: options.SpecialTokens = None,
    on_bad_row: options.OnBadRow = None,
    columns: options.Columns = None,
    format: options.Format = None,
    pairing: options.Pairing = None,
    min_gap: options.MinGap = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    chat_template: options.ChatTemplate = None,
) -> None:
    """Score pairs by a reward model, or by a trained model's implicit reward, its log-probability against a reference.

    Shows the reward of both responses, the margin, the probability that chosen beats rejected, and how often the model
    agrees with the people who chose. A run folder knows its reference and its beta (the implicit reward is beta times
    the gain in log-probability); a reward model has neither, and other models need --reference.

    [bold]Examples[/bold]

        penchant score --model runs/first --data held_out.jsonl

        penchant score --model runs/first --data held_out.jsonl --output scores.jsonl

        penchant score --model runs/reward --data held_out.jsonl

        penchant score --model ./aligned --reference ./sft --beta 0.1 --data held_out.jsonl --output - | jq .margin
    """
    given = locals()
    from rich.console import Console

    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.evaluation.score import score_pairs
    from penchant.feedback.snapshots import resolve_projects
    from penchant.files import require_new
    from penchant.models.opening import open_any_model

    if output not in (None, "-"):
        require_new(Path(str(output)))
    with Reporter() as reporter:
        scores = score_pairs(
            model,
            list(resolve_projects(data, "pairs", say=reporter.say)),
            **{name: given[name] for name in SAME},
            on_bad_row=cast("OnBadRow", on_bad_row or "drop"),
            min_gap=min_gap or 0.0,
            load=partial(open_any_model, device=device, dtype=dtype, chat_template=chat_template, reporter=reporter),
            reporter=reporter,
        )
    if output == "-":
        typer.echo(scores.as_lines(), nl=False)
    elif output is not None:
        scores.write(Path(output))
    from penchant.evaluation.shown import score_parts

    print_parts(Console(stderr=output == "-", highlight=False), score_parts(scores, most=NUM_SHOWN))

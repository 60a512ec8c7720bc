"""`penchant rank`: who is better, how sure that is, and what the votes cannot say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options

__all__ = ["NAME", "command"]

NAME = "rank"
MOST_LISTED = 20
"""Bad rows, reasons and groups shown of each kind; rank.json has all reasons and groups."""


def command(
    votes: Annotated[list[Path], typer.Argument(help="Files of votes: comparisons, battles, winners or counts.")],
    ties: Annotated[str, typer.Option(help="How ties count: half (a win for each) or davidson.")] = "half",
    both_bad: Annotated[
        str, typer.Option("--both-bad", help="How 'both bad' counts: apart (no vote) or tie.")
    ] = "apart",
    intervals: Annotated[str, typer.Option(help="How the intervals are computed: sandwich or bootstrap.")] = "sandwich",
    num_bootstrap: Annotated[
        int | None,
        typer.Option(
            "--num-bootstrap",
            help="How often --intervals bootstrap draws the votes anew.",
            show_default="1000",
            min=2,
            max=1_000_000,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of --intervals bootstrap.", show_default="0", min=0)] = None,
    cluster: Annotated[
        str,
        typer.Option(help="Votes that may err together, by: auto (what is recorded), none, prompt, annotator, both."),
    ] = "auto",
    prior: Annotated[
        str,
        typer.Option(
            help="What is assumed before any vote: auto (phantom votes, if ratings would be infinite without), none, "
            "phantom, or the standard deviation of a normal prior, in Elo points."
        ),
    ] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    elo: Annotated[bool, typer.Option("--elo", help="Also show online Elo, in the order of the votes.")] = False,
    on_bad_row: options.OnBadRow = "error",
    columns: options.Columns = None,
    format: options.Format = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for rank.json and a figure (SVG, PNG).")
    ] = None,
) -> None:
    """Rank models, or anything else, by votes: Bradley-Terry ratings with intervals, agreement, bias, cycles.

    Reads comparisons as Penchant writes them, arena battles (model_a, model_b, winner), tables of left, right, winner,
    and tables of counts. docs/ranking.md says how to read what it prints.

    [bold]Examples[/bold]

        penchant rank votes.jsonl

        penchant rank battles.json.gz --ties davidson --elo --on-bad-row drop

        penchant rank votes.csv --intervals bootstrap --num-bootstrap 500 --cluster prompt --output runs/rank
    """
    from rich.console import Console

    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.errors import ConfigError
    from penchant.ranking import Method
    from penchant.ranking.prior import prior_of
    from penchant.report.ranking import rank_votes
    from penchant.report.ranking_text import ranking_parts

    if intervals != "bootstrap" and (num_bootstrap is not None or seed is not None):
        raise ConfigError(
            "rank: --num-bootstrap and --seed are only read with --intervals bootstrap; add it, or leave them out"
        )
    drawn = {"num_bootstrap": num_bootstrap, "seed": seed}
    choices: dict[str, Any] = {name: value for name, value in drawn.items() if value is not None}
    choices |= {"ties": ties, "intervals": intervals, "cluster": cluster, "prior": prior_of(prior), "level": level}
    ranking = rank_votes(
        votes,
        Method(**choices),
        both_bad=both_bad,  # type: ignore[arg-type]
        elo=elo,
        on_bad_row=on_bad_row or "error",  # type: ignore[arg-type]
        columns=columns,
        format=format,
        say=Reporter().say,
        most_said=MOST_LISTED,
    )
    found = ranking.as_dict()
    console = Console(highlight=False)
    print_parts(console, ranking_parts(found, ranking.votes.format, most=MOST_LISTED))
    if output is not None:
        from penchant.report.standings import write_ranking  # which brings matplotlib

        found["settings"]["prior"] = prior
        for path in write_ranking({"files": list(map(str, votes)), **found}, output):
            console.print(f"{path}", soft_wrap=True)

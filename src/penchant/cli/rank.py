"""`penchant rank`: who is better, how sure that is, and what the votes cannot say."""

from pathlib import Path
from typing import Any

from penchant.cli import options
from penchant.cli.declaring import argument, flag, flattened, option

MOST_LISTED = 20
"""Bad rows, reasons and groups shown of each kind; rank.json has all reasons and groups."""


def command(
    *,
    votes: list[Path] = argument("Files of votes: comparisons, battles, winners or counts."),
    ties: str = option("How ties count: half (half a win for each) or davidson (Davidson's model).", default="half"),
    both_bad: str = option("How 'both bad' counts: apart (not as a vote) or tie.", default="apart"),
    intervals: str = option("How the intervals are computed: sandwich or bootstrap.", default="sandwich"),
    num_bootstrap: int | None = option(
        "Number of resamples of --intervals bootstrap.", shown="1000", min=2, max=1_000_000
    ),
    seed: int | None = option("Seed of --intervals bootstrap.", shown="0", min=0),
    cluster: str = option(
        "Group votes with correlated errors by: auto (what is recorded), none, prompt, annotator, both.", default="auto"
    ),
    prior: str = option(
        "Prior on the ratings: auto (phantom votes only where ratings would be infinite), none, phantom, or the "
        "standard deviation of a normal prior, in Elo points.",
        default="auto",
    ),
    level: float = option("Confidence level of the intervals.", default=0.95),
    elo: bool = flag("--elo", "Also show online Elo ratings, in the order of the votes."),
    on_bad_row: str = option(options.BAD_ROWS, default="error"),
    fields: options.Fields,
    output: Path | None = option("A folder for rank.json and a figure (SVG, PNG).", "--output -o"),
) -> None:
    """Rank models, or anything else, by votes: Bradley-Terry ratings with intervals, agreement, bias, cycles.

    Reads comparisons as Penchant writes them, arena battles (model_a, model_b, winner), tables of left, right, winner,
    and tables of counts. docs/ranking.md explains the output.

    [bold]Examples[/bold]
        penchant rank votes.jsonl
        penchant rank battles.json.gz --ties davidson --elo --on-bad-row drop
        penchant rank votes.csv --intervals bootstrap --num-bootstrap 500 --cluster prompt --output runs/rank
    """
    given = flattened(locals())
    import penchant
    from penchant.cli.console import Reporter
    from penchant.cli.tables import print_parts
    from penchant.report.ranking_text import ranking_parts

    how: dict[str, Any] = {name: value for name, value in given.items() if name not in ("votes", "output")}
    ranking = penchant.rank(votes, **how, progress=Reporter())
    found = ranking.as_dict()
    print_parts(ranking_parts(found, ranking.votes.format, most=MOST_LISTED))
    if output is not None:
        from penchant.report.standings import write_ranking  # which brings matplotlib

        found["settings"]["prior"] = prior
        print_parts(map(str, write_ranking({"files": list(map(str, votes)), **found}, output)))

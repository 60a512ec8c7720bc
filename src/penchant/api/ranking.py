"""Rank models by votes on their responses; needs numpy and scipy alone."""

from __future__ import annotations

from typing import Any, Literal

from penchant.data.given import Data
from penchant.data.options import OnBadRow
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.progress import Reporter, reporter_of
from penchant.ranking import Method
from penchant.ranking.prior import Gaussian, prior_of
from penchant.report.ranking import Ranking, rank_votes

__all__ = ["rank"]


def rank(
    votes: Data,
    *,
    ties: Literal["half", "davidson"] = "half",
    both_bad: Literal["apart", "tie"] = "apart",
    intervals: Literal["sandwich", "bootstrap"] = "sandwich",
    num_bootstrap: int | None = None,
    seed: int | None = None,
    cluster: Literal["auto", "none", "prompt", "annotator", "both"] = "auto",
    prior: str | float | Gaussian = "auto",
    level: float = 0.95,
    elo: bool = False,
    on_bad_row: OnBadRow = "error",
    columns: Columns | None = None,
    format: str | None = None,
    progress: bool | Reporter = True,
) -> Ranking:
    """Rank who wrote the better responses: a Bradley-Terry (or Davidson) fit of votes, with intervals.

    Args:
        votes: answered comparisons in any format that `penchant.data.load_votes` reads: files, rows, or records.
        ties: "half" (a tie is half a win for each side) or "davidson", which models them.
        both_bad: "apart" leaves such votes out of the ranking and counts them, "tie" treats them as ties.
        intervals: "sandwich", or "bootstrap" with num_bootstrap resamples (1000) drawn from seed (0).
        cluster: votes whose errors may be correlated: "none", those of one "prompt" or "annotator", or "both"; "auto"
            clusters by whichever is recorded with ten clusters or more.
        prior: "none", "phantom" votes, or the standard deviation of a normal prior, in Elo points; "auto" adds phantom
            votes where the votes alone do not rank every item.
        level: confidence level of the intervals.
        elo: compute the online Elo rating as well.
        on_bad_row: "error" refuses bad rows, "drop" leaves them out and reports their number.
        columns, format: see `penchant.data.load_votes`.
        progress: see `penchant.dpo`.

    Raises:
        UserError: votes that cannot be read or ranked, or options that do not go together.
    """
    drawn: dict[str, Any] = {"num_bootstrap": num_bootstrap, "seed": seed}
    drawn = {name: value for name, value in drawn.items() if value is not None}
    if drawn and intervals == "sandwich":
        raise ConfigError(
            '`num_bootstrap=...` and `seed=...` are only read with `intervals="bootstrap"`; add it, or leave them out'
        )
    assumed = prior if isinstance(prior, Gaussian) else prior_of(str(prior))
    method = Method(ties=ties, intervals=intervals, cluster=cluster, prior=assumed, level=level, **drawn)
    return rank_votes(
        votes,
        method,
        both_bad=both_bad,
        elo=elo,
        on_bad_row=on_bad_row,
        columns=columns,
        format=format,
        say=reporter_of(progress).say,
    )

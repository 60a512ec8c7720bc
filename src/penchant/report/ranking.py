"""Rank votes from files or memory, recording how the ranking was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from penchant.data import Data, Loaded, OnBadRow, Vote, keeps_order
from penchant.data.read_as import Columns
from penchant.data.vote_table import load_vote_table
from penchant.errors import ConfigError
from penchant.ranking import Ballots, Method, Standings, standings
from penchant.ranking.coded import Coded

__all__ = ["Ranking", "rank_votes"]


@dataclass(frozen=True)
class Ranking:
    """standings: the result. votes: the votes, and the report on reading them. settings: the options of the ranking."""

    standings: Standings
    votes: Loaded[Vote] = field(repr=False)
    settings: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything except the votes, as JSON values."""
        read = {"format": self.votes.format, "digest": self.votes.digest, "rows": self.votes.verdict_counts}
        return {**read, "settings": dict(self.settings), **self.standings.as_dict()}


def rank_votes(
    data: Data,
    method: Method | None = None,
    *,
    both_bad: Literal["apart", "tie"] = "apart",
    elo: bool = False,
    on_bad_row: OnBadRow = "error",
    columns: Columns | None = None,
    format: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    most_said: int = 20,
) -> Ranking:
    """Load votes and rank the items of each connected group.

    data, columns, format: as for `load_votes`. method, both_bad, elo: as for `penchant.ranking.standings`. say:
    receives the rows left out, at most `most_said` of them individually, and the unread fields.

    Raises DataError for votes that cannot be read or ranked, ConfigError for incompatible options.
    """
    loaded, table = load_vote_table(data, on_bad_row=on_bad_row, columns=columns, format=format)
    for line in loaded.left_out(most_said):
        say(line)
    if elo and not keeps_order(loaded.format):
        raise ConfigError(
            "`elo=True` needs votes in the order in which they were cast, but a table of counts has none; leave it out"
        )
    method = method or Method()
    ballots = Ballots(**{name: Coded(*column) for name, column in table.columns.items()})
    found = standings(ballots, method, both_bad=both_bad, elo=elo)
    return Ranking(found, loaded, vars(method) | {"both_bad": both_bad})

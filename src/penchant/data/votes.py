"""Load votes for a ranking: columns of who met whom and who won, with a verdict for every row."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data.fields import UnreadField
from penchant.data.files import scan_rows
from penchant.data.given import OnBadRow, check_options, digest_of
from penchant.data.importers.votes import VOTE_IMPORTERS, Vote
from penchant.data.load import first_of
from penchant.data.records import Origin
from penchant.data.rows import Reader
from penchant.data.verdicts import BadRow, Verdict
from penchant.errors import DataError

__all__ = ["LoadedVotes", "load_votes"]


@dataclass(frozen=True, slots=True)
class LoadedVotes:
    """Votes and how they were read.

    verdict_counts: rows per code, "keep" and "unanswered" included; they add up to the rows read. problems: the
    verdict of every row that could not be used. format: names of the importers that matched. digest: sha256 (hex) of
    the files. ordered: whether the votes stand in the order in which they were cast, as counts do not. unread: the
    filled fields that no importer reads or knows to be harmless.
    """

    votes: tuple[Vote, ...]
    verdict_counts: dict[str, int]
    problems: tuple[Verdict, ...]
    format: str
    digest: str
    ordered: bool
    unread: tuple[UnreadField, ...] = ()

    def columns(self) -> dict[str, list[Any]]:
        """The votes as columns by name: left, right, outcome, prompt, unit, annotator, shown_first."""
        return {name: [getattr(vote, name) for vote in self.votes] for name in Vote.__slots__}


def load_votes(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, on_bad_row: OnBadRow = "error"
) -> LoadedVotes:
    """Load votes from one file or several.

    on_bad_row: "error" raises at the end of reading if a row cannot be used (an unknown outcome, an item against
    itself, a missing field); "drop" leaves such rows out and counts them. Rows nobody has answered are left out and
    counted either way.

    Raises DataError for a file that cannot be read, a format nobody knows, a bad row (see above) and files without a
    single vote; ConfigError for a wrong option.
    """
    files = check_options(paths, on_bad_row, None)
    votes: list[Vote] = []
    counts: Counter[str] = Counter()
    problems: list[Verdict] = []
    reader = Reader(VOTE_IMPORTERS)
    for file in files:
        with reader.file(file):
            for line, row in scan_rows(file):
                origin = Origin(file=str(file), line=line)
                try:
                    read = reader.read(row, origin)
                except BadRow as bad:
                    problems.append(bad.at(origin))
                    counts[bad.code] += 1
                else:
                    votes += read
                    counts["keep" if read else "unanswered"] += 1
        if not reader.num_known:
            raise DataError(first_of(problems, len(problems), droppable=False))
    if problems and on_bad_row == "error":
        raise DataError(first_of(problems, counts.total()))
    if not votes:
        raise DataError(_no_votes(files, counts, problems))
    ordered = not any(name.startswith("counts") for name in reader.formats)
    return LoadedVotes(
        tuple(votes),
        dict(counts),
        tuple(problems),
        ", ".join(reader.formats),
        digest_of(files),
        ordered,
        reader.unread.listed(),
    )


def _no_votes(files: Sequence[Path], counts: Counter[str], problems: Sequence[Verdict]) -> str:
    found = ", ".join(f"{count} {code}" for code, count in counts.items())
    where = f"; see {problems[0]}" if problems else "; nobody has answered yet"
    return f"{', '.join(map(str, files))}: there is no vote to rank by ({found}){where}."

"""Guess the kind of data that files hold, from rows that can be nothing else."""

from contextlib import suppress
from functools import cached_property
from itertools import groupby, islice
from typing import Any

from penchant.data.gathering import gathered
from penchant.data.given import Data, part_of, sources_of
from penchant.data.importers import DEMONSTRATION_IMPORTERS, LABELLED_IMPORTERS, PAIR_IMPORTERS
from penchant.data.importers.added import added_importers
from penchant.data.importers.base import Importer, filled
from penchant.data.importers.packed import unpacked
from penchant.data.importers.values import says_nothing
from penchant.data.importers.with_label import LABELS
from penchant.data.opening import Row
from penchant.data.parts import Kind
from penchant.data.read_as import TABLES
from penchant.data.records import Demonstration, Document, Labelled, PreferencePair
from penchant.data.verdicts import BadRow

__all__ = ["Kind", "guess_kind", "kinds_of"]

RECORDS: dict[Kind, tuple[type, ...]] = {
    "pairs": (PreferencePair,),
    "labelled": (Labelled,),
    "demonstrations": (Demonstration, Document),
}
NUM_ROWS_TO_DETECT = 1000
"""Readable rows of each file that are used to tell its kind."""
MARKS_OF_PAIRS = ("chosen", "rejected", "preferred_output", "non_preferred_output")
LABELLED_NEEDS = frozenset(name for one in LABELLED_IMPORTERS for name in one.needs if name not in LABELS)


def guess_kind(data: Data) -> Kind:
    """The kind of data, told by the first rows of each file, not by a majority.

    A row with a chosen or a rejected response, or with two compared answers, makes it pairs; else a row with a label
    beside a conversation makes it labelled; else a row for supervised fine-tuning makes it demonstrations. If nothing
    matches it is pairs, whose loader reports the error. A source that states its kind or a format has that kind.
    """
    found: set[Kind] = set()
    kind_of = _KindOf()
    for source in sources_of(data):
        if kind := part_of(source).kind or _kind_of_format(getattr(source, "format", None)):
            if kind == "pairs":
                return kind
            found.add(kind)
            continue
        readable = (one for one in source.scan() if not isinstance(one[1], BadRow))
        for _, row in gathered(islice(readable, NUM_ROWS_TO_DETECT)):
            if isinstance(row, BadRow):
                continue
            if (kind := kind_of(row)) == "pairs":
                return kind
            found |= {kind} if kind else set()
    if not found:
        return "pairs"
    return "labelled" if "labelled" in found else "demonstrations"


def kinds_of(data: Data) -> dict[str, Kind]:
    """The kind of each source on its own, by the names given, in order."""
    return {part.name: guess_kind(list(shards)) for part, shards in groupby(sources_of(data), part_of)}


def _kind_of_format(name: str | None) -> Kind | None:
    kinds: tuple[Kind, ...] = ("pairs", "labelled", "demonstrations")
    return next((kind for kind in kinds for one in TABLES[kind] if one.name == name), None)


class _KindOf:
    """Tells the kind of a row; importers of installed packages are tried only if no built-in one matches."""

    def __call__(self, row: Row) -> Kind | None:
        with suppress(BadRow):  # the error is raised when the row is read
            row = unpacked(row)
        return _kind_of(row) or next((kind for one, kind in self.added if one.matches(row)), None)

    @cached_property
    def added(self) -> list[tuple[Importer[Any], Kind]]:
        return [(one, kind) for kind, records in RECORDS.items() for one in added_importers(*records)]


def _kind_of(row: Row) -> Kind | None:
    if any(filled(row, name) for name in MARKS_OF_PAIRS) or any(one.matches(row) for one in PAIR_IMPORTERS):
        return "pairs"
    if not all(says_nothing(row.get(name)) for name in LABELS) and not LABELLED_NEEDS.isdisjoint(row):
        return "labelled"
    return "demonstrations" if any(filled(row, *one.needs) for one in DEMONSTRATION_IMPORTERS) else None

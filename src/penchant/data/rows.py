"""One row at a time: which importer of a table reads it, what it becomes, and which of its fields nobody read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from penchant.data.fields import UnreadFields, unread_of
from penchant.data.files import Row
from penchant.data.importers.base import Importer, OneOrMore
from penchant.data.importers.packed import unpacked
from penchant.data.misnamed import misspelt_column
from penchant.data.records import Origin
from penchant.data.verdicts import CODES, BadRow, bad_row_from_validation
from penchant.errors import DataError

__all__ = ["Reader", "may_be_of"]

MOST_SHAPES = 1000
"""Sets of names for which it is remembered which importers need no other."""
NUM_COLUMNS = 20
"""Rows of no known format whose columns are listed."""

Record = TypeVar("Record")


@dataclass
class Reader(Generic[Record]):
    """Reads rows by a table of importers: each row by the first that matches it, so that a file may mix formats.

    added: gives further ones, which are looked for when a row matches none of the table.
    formats: those that matched a row, in the order they were met. unread: the tally of fields that nobody read.
    num_known, num_strange: rows of the latest source that an importer matched, and that none did.
    """

    importers: Sequence[OneOrMore[Record]]
    added: Callable[[], Sequence[OneOrMore[Record]]] = tuple
    formats: dict[str, None] = field(default_factory=dict)
    unread: UnreadFields = field(default_factory=UnreadFields)
    num_known: int = 0
    num_strange: int = 0
    _columns: dict[str, None] = field(default_factory=dict)
    _candidates: dict[tuple[str, ...], Sequence[OneOrMore[Record]]] = field(default_factory=dict)
    _added: Sequence[OneOrMore[Record]] | None = None

    def read(self, row: Row | BadRow, origin: Origin) -> tuple[Record, ...]:
        """The row's record, or several. Raises BadRow for a row that yields none."""
        if isinstance(row, BadRow):
            raise row
        row = unpacked(row)
        if (importer := self._importer_of(row)) is None:
            self._note_columns(row)
            raise _of_no_format(row, self.importers)
        self.num_known += 1
        self.formats[importer.name] = None
        try:
            found = importer.convert(row)
        except ValidationError as error:
            raise bad_row_from_validation(error) from None
        if names := unread_of(row, importer):
            self.unread.add(names, origin)
        records = found if isinstance(found, tuple) else (found,)
        if not records:
            raise BadRow("unanswered", CODES["unanswered"].meaning, "nothing to mend")
        return records

    def _importer_of(self, row: Row) -> OneOrMore[Record] | None:
        names = tuple(row)
        if (candidates := self._candidates.get(names)) is None:
            candidates = [one for one in self.importers if may_be_of(row, one)]
            if len(self._candidates) < MOST_SHAPES:
                self._candidates[names] = candidates
        for importer in candidates:
            if importer.matches(row):
                return importer
        if self._added is None:
            self._added = self.added()
        return next((importer for importer in self._added if importer.matches(row)), None)

    @contextmanager
    def reading(self, source: object) -> Iterator[None]:
        """One source, of which the rows are read inside. Raises DataError where not one is of a known format."""
        self.num_known = self.num_strange = 0
        self._columns = {}
        yield
        if self.num_known or not self.num_strange:
            return
        if found := misspelt_column(self._columns, self.importers):
            raise DataError(f"{source}: no column '{found[0]}'; did you mean '{found[1]}'?")
        columns = ", ".join(self._columns) or "none"
        shapes = "; or ".join(importer.description for importer in self.importers)
        raise DataError(f"{source}: no known format has its columns ({columns}); give rows with {shapes}.")

    def _note_columns(self, row: Row) -> None:
        self.num_strange += 1
        if self.num_strange <= NUM_COLUMNS:
            self._columns |= dict.fromkeys(map(str, row))


def may_be_of(row: Row, importer: Importer[Any]) -> bool:
    """Whether the row has every field that the importer needs, which is told by the names alone."""
    return row.keys() >= set(importer.needs)


def _of_no_format(row: Row, importers: Sequence[Importer[Any]]) -> BadRow:
    """Why no importer matches the row: what is missing from the one that it comes nearest to."""

    def distance(one: Importer[Any]) -> tuple[int, int]:
        absent = sum(row.get(name) is None for name in one.needs)
        return absent or 1, absent - len(one.needs)  # fewest absent, then most present, then first in the table

    one = min(importers, key=distance)
    absent = [f"'{name}'" for name in one.needs if row.get(name) is None]
    if len(absent) == len(one.needs):
        reason = f"its fields ({', '.join(map(str, row)) or 'none'}) are those of no format read here"
        return BadRow("missing_field", reason, "remove the row, or look at the formats in docs/data.md")
    if absent:
        missing = f"field {absent[0]} is" if len(absent) == 1 else f"fields {' and '.join(absent)} are"
        return BadRow("missing_field", f"the {missing} missing", f"add {' and '.join(absent)} to the row")
    try:
        one.convert(row)
    except BadRow as bad:
        return bad
    except ValidationError as error:
        return bad_row_from_validation(error)
    return BadRow(
        "bad_type", f"its fields are those of {one.name}, and their values are not", f"give {one.description}"
    )

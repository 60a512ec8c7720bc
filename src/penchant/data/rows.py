"""Read one row: choose the importer from a table, convert the row, and track unread fields."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from penchant.data.fields import UnreadFields, harmless_of, unread_of
from penchant.data.files import Row
from penchant.data.gathering import as_in_file
from penchant.data.heeding import LISTS
from penchant.data.importers.base import Importer, OneOrMore, as_tuple
from penchant.data.importers.packed import spelt, unpacked
from penchant.data.importers.text_score import TEXT_SCORE
from penchant.data.importers.values import says_nothing
from penchant.data.importers.webgpt import WEBGPT
from penchant.data.importers.winners import last_text, preferred
from penchant.data.misnamed import misspelt_column
from penchant.data.opening import LISTED, no_object
from penchant.data.other_uses import other_use
from penchant.data.records import Origin, PreferencePair
from penchant.data.verdicts import CODES, BadRow, bad_row_from_validation
from penchant.errors import DataError
from penchant.wording import shown

__all__ = ["UNANSWERED", "Reader", "may_be_of"]

UNANSWERED = "unanswered", CODES["unanswered"].meaning, "nothing to fix"
MOST_SHAPES = 1000
"""Cache size: sets of names whose candidate importers are remembered."""
MOST_COMPARED = 100
"""Sets of names whose first row is tried with every format that fits."""
MOST_SHAPES_SHOWN = 4
"""Formats described in a message, those that share the most columns with the file first."""
NUM_COLUMNS = 20
"""The most rows of no known format whose columns are listed."""

BY_SCORES = LISTS | {TEXT_SCORE.name, WEBGPT.name}
"""Formats in which only scores tell which answer is better."""

Record = TypeVar("Record")


@dataclass
class Reader(Generic[Record]):
    """Reads rows by a table of importers: each row by the first that matches, so that a file may mix formats.

    A source that names a format (`ReadAs`) is read by that alone. added: returns further importers, requested when no
    importer of the table matches. formats: those that matched a row, in order of occurrence; latest: the last of them.
    fits: formats that would have read a row differently, once per pair of formats. unread: counts of unread fields.
    harmless: counts of ignored harmless fields, if requested.
    num_known, num_strange: rows of the current source that an importer matched, and that none did.
    """

    importers: Sequence[OneOrMore[Record]]
    added: Callable[[], Sequence[OneOrMore[Record]]] = tuple
    formats: dict[str, None] = field(default_factory=dict)
    latest: str = ""
    fits: dict[tuple[str, str], Origin] = field(default_factory=dict)
    unread: UnreadFields = field(default_factory=UnreadFields)
    harmless: UnreadFields | None = None
    num_known: int = 0
    num_strange: int = 0
    _columns: dict[str, None] = field(default_factory=dict)
    _candidates: dict[tuple[str, ...], Sequence[OneOrMore[Record]]] = field(default_factory=dict)
    _rivals: dict[tuple[tuple[str, ...], str], Sequence[OneOrMore[Record]]] = field(default_factory=dict)
    _added: Sequence[OneOrMore[Record]] | None = None
    _compared: set[tuple[str, ...]] = field(default_factory=set)
    _first_strange: Row | None = None
    _strange_at: Origin | None = None
    _only: OneOrMore[Record] | None = None
    _chosen: bool = False

    def begin(self, importers: Sequence[OneOrMore[Record]], *, chosen: bool) -> None:
        """Read by another table from now on. chosen: the caller named the kind, so other fields are ignored."""
        if importers != self.importers:
            self.importers, self._candidates, self._rivals = importers, {}, {}
        self._chosen = chosen

    def read(self, row: Row | BadRow, origin: Origin) -> tuple[Record, ...]:
        """The row's record, or several. Raises BadRow for a row that yields none."""
        if isinstance(row, BadRow):
            raise row
        row = unpacked(row)
        if (importer := self._importer_of(row)) is None:
            if LISTED in row:
                raise no_object(row[LISTED], other_use(row, self.importers))
            self._note_columns(row, origin)
            met = [one for one in self._table() if one.name in self.formats]  # more likely a flawed row of one of these
            raise _of_no_format(row, met or self._table(), "the other rows" if met else "any format read here")
        self.num_known += 1
        self.formats[importer.name] = None
        self.latest = importer.name
        records, names = self.converted(row, importer, origin)
        if names:
            self.unread.add(names, origin)
        if self.harmless is not None:
            self.harmless.add(harmless_of(row, importer), origin)
        if not records:
            raise BadRow(*UNANSWERED)
        return records

    def converted(self, row: Row, importer: OneOrMore[Record], origin: Origin) -> tuple[tuple[Record, ...], list[str]]:
        """The records of a row, and the names of its unread fields. Raises BadRow."""
        try:
            found = importer.convert(row)
        except ValidationError as error:
            raise bad_row_from_validation(error) from None
        chosen = self._chosen or self._only is not None
        names = unread_of(row, importer, as_tuple(found), chosen=chosen)
        if not chosen:
            same = self._read_twice(row, importer, as_tuple(found))
            names = [name for name in names if name not in same] if same else names
        if len(self._compared) < MOST_COMPARED and tuple(row) not in self._compared:
            self._note_fits(row, importer, found, origin)
        return as_tuple(found), names

    def candidates(self, names: tuple[str, ...]) -> Sequence[OneOrMore[Record]]:
        """The importers of the table whose required fields are all among these."""
        if (found := self._candidates.get(names)) is None:
            found = [one for one in self._table() if may_be_of(names, one)]
            if len(self._candidates) < MOST_SHAPES:
                self._candidates[names] = found
        return found

    def _importer_of(self, row: Row) -> OneOrMore[Record] | None:
        for importer in self.candidates(tuple(row)):
            if importer.matches(row):
                return importer
        if self._only is not None:
            return None
        return next((importer for importer in self._more() if importer.matches(row)), None)

    def _table(self) -> Sequence[OneOrMore[Record]]:
        return self.importers if self._only is None else [self._only]

    def _more(self) -> Sequence[OneOrMore[Record]]:
        if self._added is None:
            self._added = self.added()
        return self._added

    def _read_twice(self, row: Row, taken: OneOrMore[Record], found: tuple[Record, ...]) -> frozenset[str]:
        """The fields by which another matching format makes the same record of the row.

        Raises BadRow if that format prefers the other answer, or neither. Formats of scores alone do not count: the
        scores may be another judge's.
        """
        same: frozenset[str] = frozenset()
        rivals = self._rivals_of(tuple(row), taken)
        sides = preferred(found[0]) if rivals and len(found) == 1 else None
        for other in rivals if sides else ():
            if not other.matches(row):
                continue
            try:
                theirs = as_tuple(other.convert(row))
            except (BadRow, ValidationError) as error:
                if getattr(error, "code", None) == "tie" and _answers_in(row, other) >= set(sides or ()):
                    raise
                continue
            turned = preferred(theirs[0]) if len(theirs) == 1 else None
            if sides and turned and turned == sides[::-1]:
                reason = (
                    f"read as {taken.name} it prefers {shown(sides[0])}, but read as {other.name} {shown(turned[0])}"
                )
                raise BadRow("bad_type", reason, f'remove what is wrong, or choose one: `format="{taken.name}"`')
            if _trained_on(theirs) == _trained_on(found):
                same |= other.reads
        return same

    def _rivals_of(self, names: tuple[str, ...], taken: OneOrMore[Record]) -> Sequence[OneOrMore[Record]]:
        """The formats that may read more from rows with these names than the one in use."""
        if (found := self._rivals.get((names, taken.name))) is None:
            others = (one for one in self.candidates(names) if one is not taken and one.name not in BY_SCORES)
            found = [one for one in others if not one.needs or not taken.reads >= set(one.needs)]
            if len(self._rivals) < MOST_SHAPES:
                self._rivals[names, taken.name] = found
        return found

    def _note_fits(self, row: Row, taken: OneOrMore[Record], found: object, origin: Origin) -> None:
        """Note which later importer would have made a different record of a row."""
        self._compared.add(tuple(row))
        for other in self._table():
            if other is taken or not other.matches(row) or (taken.name, other.name) in self.fits:
                continue
            if any(says_nothing(row.get(name)) for name in other.needs):
                continue
            with suppress(BadRow, ValidationError):
                if _trained_on(other.convert(row)) != _trained_on(found):
                    self.fits[taken.name, other.name] = origin

    @contextmanager
    def reading(self, source: object) -> Iterator[None]:
        """A context for reading one source. Raises DataError if no row has a known format."""
        self.num_known = self.num_strange = 0
        self._columns = {}
        self._read_by(getattr(source, "format", None), source)
        yield
        if self.num_known or not self.num_strange:
            return
        if found := misspelt_column(self._columns, self._table()):
            needed, there = found
            raise DataError(
                f"{source}: there is no column '{needed}', only '{there}'; correct its name, or have it read so: "
                f'`columns="{there}={needed}"`.'
            )
        columns = ", ".join(self._columns) or "none"
        near = sorted(self._table(), key=lambda one: -len(self._columns.keys() & set(one.needs)))[:MOST_SHAPES_SHOWN]
        shapes = "; or ".join(importer.description for importer in near)
        hint = "say which column is which, `columns=...`, or give rows with"
        more = "" if self._only else f" (docs/data.md has all {len(self.importers)} formats)"
        use = None if self._only or self._first_strange is None else other_use(self._first_strange, self.importers)
        also = f"; {use}" if use else ""
        where = self._strange_at if self.formats else source  # with known rows present, cite the first unknown line
        raise DataError(f"{where}: no known format has its columns ({columns}){also}; {hint} {shapes}{more}.")

    def _read_by(self, name: str | None, source: object) -> None:
        """Read rows by this format alone. Raises DataError if the table has no format of this name."""
        only = (
            None if name is None else next((one for one in (*self.importers, *self._more()) if one.name == name), None)
        )
        if name is not None and only is None:
            names = ", ".join(one.name for one in self.importers)
            raise DataError(f"{source}: the format '{name}' does not hold what is read here; choose from {names}.")
        if only is not self._only:
            self._only, self._candidates, self._rivals = only, {}, {}

    def _note_columns(self, row: Row, origin: Origin) -> None:
        if not self.num_strange:
            self._first_strange, self._strange_at = row, origin
        self.num_strange += 1
        if self.num_strange <= NUM_COLUMNS:
            self._columns |= dict.fromkeys(map(str, as_in_file(row)))


def _trained_on(found: object) -> tuple[object, ...]:
    """The records without fields that training does not use."""
    return tuple(
        one.model_copy(update={"gap": None, "name": None}) if isinstance(one, PreferencePair) else one
        for one in as_tuple(found)
    )


def _answers_in(row: Row, importer: Importer[Any]) -> set[str | None]:
    """The answers in the fields that an importer reads."""
    return {last_text(spelt(row.get(name))) for name in importer.reads}


def may_be_of(names: Iterable[str], importer: Importer[Any]) -> bool:
    """Whether a row with these names has every field that the importer needs."""
    return set(importer.needs) <= set(names) and not any(group.isdisjoint(names) for group in importer.needs_one_of)


def _of_no_format(row: Row, importers: Sequence[Importer[Any]], whose: str) -> BadRow:
    """Why no importer matches the row: the fields missing for the closest one.

    whose: the name, in words, of what reads the fields.
    """

    def distance(one: Importer[Any]) -> tuple[int, int]:
        absent = sum(row.get(name) is None for name in one.needs)
        return absent or 1, absent - len(one.needs)  # fewest absent, then most present, then first in the table

    one = min([one for one in importers if one.needs] or importers, key=distance)
    absent = [f"'{name}'" for name in one.needs if row.get(name) is None]
    if len(absent) == len(one.needs):
        reason = f"its fields ({', '.join(map(str, row)) or 'none'}) are not those of {whose}"
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
        "bad_type", f"its fields are those of {one.name}, but their values are not", f"write {one.description}"
    )

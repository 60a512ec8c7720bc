"""Read rows as the caller specifies: with renamed columns, and by one format of those that fit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from penchant.data.importers import (
    DEMONSTRATION_IMPORTERS,
    LABELLED_IMPORTERS,
    PAIR_IMPORTERS,
    PROMPT_IMPORTERS,
    VOTE_IMPORTERS,
    Importer,
)
from penchant.data.importers.added import GROUP, added_importers
from penchant.data.importers.values import says_nothing
from penchant.data.opening import Row
from penchant.data.records import Origin
from penchant.data.verdicts import BadRow
from penchant.errors import ConfigError, DataError
from penchant.plugins import added_names
from penchant.wording import nearest, shown

__all__ = ["TABLES", "Columns", "ReadAs", "columns_of", "reading_as", "require_format"]

Columns = Mapping[str, str] | str
"""{column of the file: name by which it is read}, or the same as "question=prompt,good=chosen"."""

TABLES: dict[str, Sequence[Importer[Any]]] = {
    "pairs": PAIR_IMPORTERS,
    "labelled": LABELLED_IMPORTERS,
    "demonstrations": DEMONSTRATION_IMPORTERS,
    "prompts": PROMPT_IMPORTERS,
    "votes": VOTE_IMPORTERS,
}
"""The formats of Penchant's own, by what they hold."""
MOST_COLUMNS = 30
"""The most columns of a file that a message lists."""


class Readable(Protocol):
    """A file, or rows in memory."""

    def scan(self) -> Iterator[tuple[int, Row | BadRow]]: ...
    def origin(self, number: int) -> Origin: ...
    def hash_into(self, digest: Any) -> None: ...


@dataclass(frozen=True)
class ReadAs:
    """A source whose columns are renamed before a format is chosen, and whose format may be given.

    columns: {its column: the name by which it is read}. format: the name of an importer; None: the first that matches.
    """

    source: Readable
    columns: dict[str, str]
    format: str | None = None

    def __str__(self) -> str:
        return str(self.source)

    @property
    def path(self) -> Any:
        """The path of the file; None for rows in memory."""
        return getattr(self.source, "path", None)

    @property
    def part(self) -> Any:
        """The user's `Part`, if any."""
        return getattr(self.source, "part", None)

    def scan(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Its rows with their numbers, under the new names."""
        if not self.columns:
            return self.source.scan()
        return ((number, row if isinstance(row, BadRow) else self.renamed(row)) for number, row in self.source.scan())

    def origin(self, number: int) -> Origin:
        """The place of a row."""
        return self.source.origin(number)

    def hash_into(self, digest: Any) -> None:
        """Add its content to a digest, under the original names."""
        self.source.hash_into(digest)

    def renamed(self, row: Row) -> Row | BadRow:
        """A row under the new names; a bad row if two columns would have the same name."""
        for name, target in self.columns.items():
            if name in row and target not in self.columns and not says_nothing(row.get(target)):
                reason = f"the column '{name}' is to be read as '{target}', but there is a column '{target}' too"
                return BadRow("bad_type", reason, "rename that one as well, or remove it")
        return {self.columns.get(name, name): value for name, value in row.items() if self._stays(name, row)}

    def _stays(self, name: str, row: Row) -> bool:
        """Whether a column keeps its name, that is, no other column is renamed to it."""
        return name in self.columns or not any(name == new and old in row for old, new in self.columns.items())


def columns_of(given: Columns | None) -> dict[str, str]:
    """Parse and check a mapping of columns. Raises ConfigError for an invalid one."""
    if isinstance(given, str):
        pairs = [part.partition("=") for part in given.split(",") if part.strip()]
        if wrong := next((old for old, equals, _ in pairs if not equals), None):
            raise ConfigError(f"columns takes column=name,column=name, got {shown(wrong)}; for example question=prompt")
        listed = [(old.strip(), new.strip()) for old, _, new in pairs]
    elif isinstance(given, Mapping):
        listed = [(str(old), str(new)) for old, new in given.items()]
    elif given is None:
        listed = []
    else:
        raise ConfigError(f"columns is of type {type(given).__name__}; give {{column: name}}")
    for place, what in ((0, "column"), (1, "name")):
        names = [pair[place] for pair in listed]
        if "" in names:
            raise ConfigError(f"columns has a {what} that is empty; write column=name")
        if twice := next((name for name in names if names.count(name) > 1), None):
            others = ", ".join(old for old, new in listed if twice in (old, new))
            told = f"renames '{twice}' twice" if place == 0 else f"gives two columns ({others}) the name '{twice}'"
            raise ConfigError(f"columns {told}; keep one of them")
    for _, new in listed:
        _require_read(new)
    return dict(listed)


def _require_read(name: str) -> None:
    read = {field for table in TABLES.values() for one in table for field in one.reads}
    if name in read or any(name in one.reads for one in added_importers(object)):
        return
    near = nearest(name, sorted(read))
    hint = f"did you mean '{near}'?" if near else "docs/data.md lists the formats and their fields."
    raise ConfigError(f"columns: no format reads a field '{name}'; {hint}")


def require_format(name: str | None) -> None:
    """Raise ConfigError for an unknown format."""
    if name is None:
        return
    names = list(dict.fromkeys([one.name for table in TABLES.values() for one in table] + list(added_names(GROUP))))
    if name not in names:
        near = nearest(str(name), names)
        hint = f"did you mean '{near}'?" if near else f"choose from {', '.join(names)}."
        raise ConfigError(f"there is no format '{name}'; {hint}")


def reading_as(sources: Sequence[Readable], columns: dict[str, str], name: str | None) -> list[ReadAs]:
    """The sources with these options, unless they set their own.

    Raises DataError for a column that none of them has, and for two with the same new name.
    """
    found = [_read_as(source, columns, name) for source in sources]
    renamed = [one for one, source in zip(found, sources, strict=True) if columns and not _own_columns(source)]
    absent, seen = dict(columns if renamed else {}), dict[str, None]()
    for source in renamed:
        for number, row in source.source.scan():
            if isinstance(row, BadRow):
                continue
            seen |= dict.fromkeys(row)
            absent = {old: new for old, new in absent.items() if old not in row}
            if isinstance(bad := source.renamed(row), BadRow):
                raise DataError(f"{source.origin(number)}: {bad.reason} (of {_listed(row)}); {bad.fix}.")
            if not absent:
                break
    if absent:
        column = next(iter(absent))
        near = nearest(column, sorted(seen))
        hint = f"did you mean '{near}'?" if near else "name one that is there."
        whole = f"{', '.join(map(str, sources))}: no column '{column}' to read as '{absent[column]}'"
        raise DataError(f"{whole} (there are {_listed(seen)}); {hint}")
    return found


def _read_as(source: Readable, columns: dict[str, str], name: str | None) -> ReadAs:
    if isinstance(source, ReadAs):
        return ReadAs(source.source, source.columns or columns, source.format or name)
    return ReadAs(source, columns, name)


def _own_columns(source: Readable) -> dict[str, str]:
    return source.columns if isinstance(source, ReadAs) else {}


def _listed(names: Mapping[str, Any]) -> str:
    more = f" and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else ""
    return ", ".join(map(str, islice(names, MOST_COLUMNS))) + more

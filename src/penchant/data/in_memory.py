"""Read rows given as objects instead of files: lists of dicts, tables of other libraries, Penchant's own records.

They are read like the rows of a file: by the same importers, with the same verdicts. Values are converted to JSON's, so
that a table gives the same records as the file it was read from; a missing cell is a missing field. No library is
imported for this: a table is recognised by its methods.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from penchant.data.opening import Row, as_row
from penchant.data.quickly import origin_at
from penchant.data.records import (
    Comparison,
    Demonstration,
    Document,
    Labelled,
    Origin,
    PreferencePair,
    Prompt,
    RowOrigin,
)
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

__all__ = ["RowSource", "as_source"]

MISSING = ("NAType", "NaTType")
"""Type names of pandas' missing values."""


@dataclass(frozen=True)
class RowSource:
    """Rows in memory, which can be loaded any number of times.

    rows: each as JSON would hold it, or a BadRow if it is no row. name: what messages call the data. place: the prefix
    of a row's index in messages, so that `data[2]` (`data.iloc[2]` of a DataFrame) evaluates to the row.
    """

    rows: tuple[Row | BadRow, ...] = field(repr=False)
    name: str = "data"
    place: str = "data"

    def __str__(self) -> str:
        return self.name

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the rows as canonical JSON, a line each: keys sorted, no spaces, ASCII."""
        digest = hashlib.sha256()
        self.hash_into(digest)
        return digest.hexdigest()

    def hash_into(self, digest: Any) -> None:
        """Add the rows to a digest."""
        for row in self.rows:
            value = None if isinstance(row, BadRow) else row
            line = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_digestible)
            digest.update(f"{line}\n".encode())

    def scan(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Yield (number, row), numbered from 1 like the rows of a file. Raises DataError where there is none."""
        if not self.rows:
            raise DataError(f"{self.name} is empty: it holds no rows; give at least one.")
        yield from enumerate(self.rows, 1)

    def origin(self, number: int) -> Origin:
        """The place of a row."""
        return origin_at(RowOrigin, self.place, number)


def as_source(data: object, name: str = "data") -> RowSource:
    """Make a source of rows in memory; an iterator is read to its end.

    data: dicts, or Penchant's records, in a list or any other iterable (a `datasets.Dataset` is one); a pandas
    DataFrame; a pyarrow Table; or a RowSource, which is returned. name: what messages call the data.

    Raises DataError for an object that holds no rows.
    """
    if isinstance(data, RowSource):
        return data
    place = name
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        rows, place = _rows_of_frame(data, name), f"{name}.iloc"
    elif hasattr(data, "to_pylist"):
        rows = data.to_pylist()
    elif isinstance(data, Mapping):
        keys = ", ".join(map(str, data)) or "none"
        raise DataError(f"{name} is a mapping with the keys {keys} and not rows; give one of its parts, or a list.")
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes):
        rows = data
    else:
        raise DataError(f"{name} is of type {type(data).__name__}; give paths, or a list of rows.")
    return RowSource(tuple(map(_as_row, rows)), name, place)


def _rows_of_frame(frame: Any, name: str) -> Iterable[Any]:
    columns = list(frame.columns)
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise DataError(f"{name}: the column '{twice[0]}' appears twice; keep one of them, or rename one.")
    rows: list[Any] = frame.to_dict("records")
    return rows


def _as_row(value: object) -> Row | BadRow:
    if isinstance(value, Mapping):
        return {str(name): as_json(cell) for name, cell in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return as_row(as_json(value))
    row = row_of(value)
    if row is None:
        return BadRow("bad_type", f"a row must be a dict, got {type(value).__name__}", "write {...} for each row")
    return row


def row_of(record: object) -> Row | None:
    """The row of a file that would be read as this record; None if it is none of Penchant's records."""
    if isinstance(record, Labelled):
        row = record.model_dump(mode="json", exclude={"origin", "response", "desirable"})
        return row | {"completion": _response(record.response), "label": record.desirable}
    if isinstance(record, Prompt):
        return {"prompt": [message.model_dump(mode="json") for message in record.messages], "id": record.id}
    if isinstance(record, PreferencePair | Comparison | Demonstration | Document):
        return record.model_dump(mode="json", exclude={"origin"})
    return None


def _response(response: Any) -> Any:
    return response if isinstance(response, str) else response.model_dump(mode="json")


def as_json(value: Any) -> Any:
    """A value as in JSON: numpy's as Python's, times as text, missing values as None; others unchanged."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif hasattr(value, "tolist"):  # an array, or a numpy scalar
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)  # strips a subclass, such as numpy's or an enumeration's
    if type(value).__name__ in MISSING or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _digestible(value: object) -> str:
    """The substitute in a digest for a value outside JSON, which no importer reads."""
    return value.hex() if isinstance(value, bytes) else type(value).__qualname__

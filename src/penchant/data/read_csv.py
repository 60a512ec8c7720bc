"""Read the rows of a .csv or .tsv file: records under a header line, between commas or tabs, quoted where needed."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from penchant.data.opening import Row, open_text, require_utf8, too_long
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

__all__ = ["columns_of_csv", "rows_of_csv"]

MAX_RECORD = 64_000_000
"""The longest record, in characters, that is read to its end; one over the row limit is a bad row."""


def rows_of_csv(path: Path, limit: int, *, delimiter: str = ",") -> Iterator[tuple[int, Row | BadRow]]:
    """Yield one row per record, numbered by the line in which it begins."""
    with open_text(path) as stream:
        lines = _Lines(path, stream)
        records = _records(lines, delimiter)
        header = _header(path, records)
        lines.begin_record()
        for cells in records:
            if cells:
                yield lines.record, _row(header, cells, limit, delimiter)
            lines.begin_record()


def columns_of_csv(path: Path, *, delimiter: str = ",") -> list[str]:
    """The column names in the header."""
    with open_text(path) as stream:
        return _header(path, _records(_Lines(path, stream), delimiter))


def _records(lines: "_Lines", delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_RECORD)  # the module's own is smaller than a row may be
    try:
        yield from csv.reader(lines, strict=True, delimiter=delimiter)
    except csv.Error as error:
        raise DataError(
            f"{lines.path}:{lines.record}: not CSV ({error}); check the quotes of the record that begins there."
        ) from error


def _header(path: Path, records: Iterator[list[str]]) -> list[str]:
    header = [name.strip() for name in next(records, [])]
    twice = [name for name, num in Counter(header).items() if name and num > 1]
    if twice:
        raise DataError(f"{path}:1: the column '{twice[0]}' appears twice; keep one of them, or rename one.")
    return header


class _Lines:
    """Lines as csv.reader takes them; `record` is the number of the line in which a record begins."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.record = 1
        self.path, self._stream = path, stream
        self._num_lines = self._num_held = 0

    def begin_record(self) -> None:
        self.record, self._num_held = self._num_lines + 1, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_RECORD + 1)
        if not line:
            raise StopIteration
        self._num_lines += 1
        self._num_held += len(line)
        if self._num_held > MAX_RECORD:
            raise DataError(
                f"{self.path}:{self.record}: the record that begins here has more than {MAX_RECORD:,} characters; "
                "check its quotes."
            )
        require_utf8(self.path, line, self._num_lines)
        return line


def _row(header: list[str], cells: list[str], limit: int, delimiter: str) -> Row | BadRow:
    if sum(len(cell.encode()) for cell in cells) > limit:
        return too_long("record", limit)
    if len(cells) > len(header):
        reason = f"the record has {len(cells)} cells, but the header has {len(header)}"
        return BadRow("bad_type", reason, f"quote the cells that hold {'commas' if delimiter == ',' else 'tabs'}")
    return dict(zip(header, cells, strict=False))

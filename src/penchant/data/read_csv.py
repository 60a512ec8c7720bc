"""Rows of a .csv file: records under a header line, comma-separated, double-quoted where needed."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from penchant.data.opening import Row, open_text, require_utf8, too_long
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

__all__ = ["rows_of_csv"]

MAX_RECORD = 64_000_000
"""Characters of the longest record that is read to its end; one over the limit of a row is a bad row."""


def rows_of_csv(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """A record a row, numbered by the line in which it begins."""
    csv.field_size_limit(MAX_RECORD)  # the module's own is smaller than a row may be
    with open_text(path) as stream:
        lines = _Lines(path, stream)
        reader = csv.reader(lines, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _refuse_twice(path, header)
            lines.begin_record()
            for cells in reader:
                if cells:
                    yield lines.record, _row(header, cells, limit)
                lines.begin_record()
        except csv.Error as error:
            raise DataError(
                f"{path}:{lines.record}: not CSV ({error}); check the quotes of the record that begins there."
            ) from error


class _Lines:
    """Lines as csv.reader takes them; `record` is the number of the one in which a record begins."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.record = 1
        self._path, self._stream = path, stream
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
                f"{self._path}:{self.record}: the record that begins here has more than {MAX_RECORD:,} characters; "
                "check its quotes."
            )
        require_utf8(self._path, line, self._num_lines)
        return line


def _refuse_twice(path: Path, header: list[str]) -> None:
    twice = [name for name, num in Counter(header).items() if name and num > 1]
    if twice:
        raise DataError(f"{path}:1: the column '{twice[0]}' is there twice; keep one of them, or rename one.")


def _row(header: list[str], cells: list[str], limit: int) -> Row | BadRow:
    if sum(len(cell.encode()) for cell in cells) > limit:
        return too_long("record", limit)
    if len(cells) > len(header):
        reason = f"the record has {len(cells)} cells and the header {len(header)}"
        return BadRow("bad_type", reason, "quote the cells that hold commas")
    return dict(zip(header, cells, strict=False))

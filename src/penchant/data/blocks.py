"""Read the rows of a file in blocks: lines that all have the same fields become columns, all others rows.

Columns are a fast path. A block that is not plainly a table (each line one flat row without errors) is read row by row
as usual.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from pydantic_core import from_json

from penchant.data.files import MAX_LINE_BYTES, Row, format_of
from penchant.data.given import FileSource, Source
from penchant.data.opening import open_bytes
from penchant.data.read_json import SPACED_KEY, rows_of_lines
from penchant.data.verdicts import BadRow

__all__ = ["Block", "Rows", "blocks_of"]

NUM_BYTES = MAX_LINE_BYTES // 4
"""Bytes of a block; with one more line of at most that size, no line in it exceeds the limit."""
NUM_ROWS = 2000
"""Rows of a block that is read row by row."""


@dataclass(frozen=True)
class Block:
    """N rows with the same fields, a line each. names: the fields. columns: N values of each. first: line of row 0."""

    names: tuple[str, ...]
    columns: tuple[tuple[Any, ...], ...]
    first: int

    def __len__(self) -> int:
        return len(self.columns[0])

    def row(self, index: int) -> Row:
        """One of the rows."""
        return {name: column[index] for name, column in zip(self.names, self.columns, strict=True)}


Rows: TypeAlias = Sequence[tuple[int, Row | BadRow]]
"""Rows with their numbers, or the verdict on a bad row."""


class _NoTable(Exception):
    """From here on the file is read row by row."""


def blocks_of(source: Source) -> Iterator[Block | Rows]:
    """All rows of a source in order. Raises what its `scan` raises."""
    num_lines = 0
    if isinstance(source, FileSource) and source.shown is None and (table := _table_of(source.path)):
        try:
            for last, block in table(source.path):
                yield block
                num_lines = last
            if num_lines:
                return
        except (_NoTable, OSError):  # `scan` raises the error to report
            pass
    rows = source.scan()
    while some := list(islice(rows, NUM_ROWS)):
        if some[-1][0] > num_lines:
            yield [(number, row) for number, row in some if number > num_lines]


def _table_of(path: Path) -> "Callable[[Path], Iterator[tuple[int, Block | Rows]]] | None":
    return _TABLES.get(format_of(path))


def _json_blocks(path: Path) -> Iterator[tuple[int, Block | Rows]]:
    """Blocks of JSON lines, each with the number of its last line."""
    for block, first in _lines_of(path):
        table = _json_table(block.removesuffix(b"\n"), first)
        found = table or list(rows_of_lines(enumerate(io.BytesIO(block), first), MAX_LINE_BYTES))
        if found:
            yield first + _num_lines(block) - 1, found


def _json_table(block: bytes, first: int) -> Block | None:
    """The block as columns if each line starts with its only opening brace and all rows have the same fields.

    The lines joined by commas are then an array of as many objects, and no object spans two lines. The number of keys
    matches, so no key occurs twice; see `_plain_row`.
    """
    num = block.count(b"\n") + 1
    if block.count(b"{") != num or block.count(b"\n{") != num - 1 or block[:1] != b"{" or SPACED_KEY.search(block):
        return None
    try:
        rows = from_json(b"[%b]" % block.replace(b"\n", b","), cache_strings="all")
    except ValueError:
        return None
    if len(rows) != num or set(map(type, rows)) != {dict} or len(names := tuple(rows[0])) < 2:
        return None
    if set(map(len, rows)) != {len(names)} or block.count(b'":') != num * len(names):
        return None
    try:
        return Block(names, tuple(zip(*map(itemgetter(*names), rows), strict=True)), first)
    except KeyError:
        return None


def _csv_blocks(path: Path, delimiter: str = ",") -> Iterator[tuple[int, Block | Rows]]:
    """Blocks of records, each with the number of its last line. Raises _NoTable for records that are not lines."""
    header: tuple[str, ...] = ()
    for block, first in _lines_of(path):
        if block.count(b"\r") != block.count(b"\r\n"):
            raise _NoTable
        try:
            records = list(csv.reader(io.StringIO(block.decode()), delimiter=delimiter, strict=True))
        except (UnicodeDecodeError, csv.Error):
            raise _NoTable from None
        if len(records) != _num_lines(block):
            raise _NoTable
        if not header:
            header = tuple(name.strip() for name in records.pop(0))
            first += 1  # noqa: PLW2901
            if len(set(header)) < len(header) or not header:
                raise _NoTable
        if not records:
            continue
        if set(map(len, records)) != {len(header)}:
            raise _NoTable
        yield first + len(records) - 1, Block(header, tuple(zip(*records, strict=True)), first)


def _lines_of(path: Path) -> Iterator[tuple[bytes, int]]:
    """Whole lines, some at a time, and the number of the first of them."""
    rest, first, more = b"", 1, b"\n"
    with open_bytes(path) as stream:
        while more:
            more = stream.read(NUM_BYTES)
            held = rest + more
            end = held.rfind(b"\n") + 1 if more else len(held)
            block, rest = held[:end], held[end:]
            if len(rest) > NUM_BYTES:
                raise _NoTable
            if block:
                yield block.removeprefix(b"\xef\xbb\xbf") if first == 1 else block, first
                first += _num_lines(block)


def _num_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


_TABLES: dict[str, Callable[[Path], Iterator[tuple[int, Block | Rows]]]] = {
    ".jsonl": _json_blocks,
    ".ndjson": _json_blocks,
    ".csv": _csv_blocks,
    ".tsv": partial(_csv_blocks, delimiter="\t"),
}

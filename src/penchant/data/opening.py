"""Open a data file as bytes or lines, decompressed if needed."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from penchant.data.unpacking import COMPRESSIONS, open_unpacked
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

__all__ = ["LISTED", "Row", "as_row", "lines_of", "no_object", "open_bytes", "open_text", "require_utf8", "too_long"]

Row = dict[str, Any]

ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, decompressed if its extension names a compression."""
    return open_unpacked(path) if path.suffix.lower() in COMPRESSIONS else path.open("rb")


def open_text(path: Path) -> TextIO:
    """The text without a byte order mark, line ends unchanged; `require_utf8` finds bytes that are not UTF-8."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="surrogateescape", newline="")


def require_utf8(path: Path, text: str, line: int) -> None:
    """Raise DataError where text from `open_text`, beginning at `line`, holds a byte that is not UTF-8."""
    if not text.isascii() and (found := ESCAPED_BYTE.search(text)):
        line += text.count("\n", 0, found.start())
        byte = ord(found[0]) - 0xDC00
        raise DataError(f"{path}:{line}: not UTF-8 (byte {byte:#04x}); save the file as UTF-8.")


def lines_of(path: Path, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; None for one over the limit; never more than the limit is held in memory."""
    with open_bytes(path) as stream:
        number = 0
        while line := stream.readline(limit + 1):
            number += 1
            if len(line) <= limit:
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                continue
            while line and not line.endswith(b"\n"):
                line = stream.readline(limit + 1)
            yield number, None


LISTED = "[]"
"""The only field of a row that is a list of objects rather than an object."""


def as_row(value: object) -> Row | BadRow:
    """The value as a row: an object, or a list of objects, which some data sets write as one row."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {LISTED: value}
    return no_object(value)


def no_object(value: object, use: str | None = None) -> BadRow:
    """The verdict on a row that is no object. use: what reads such rows."""
    fix = "write {...} for each row"
    return BadRow(
        "bad_type", f"a row must be a JSON object, got {type(value).__name__}", f"{use}; or {fix}" if use else fix
    )


def too_long(what: str, limit: int) -> BadRow:
    """The verdict on a line, record or row over the limit."""
    return BadRow("too_long_line", f"the {what} is longer than {limit:,} bytes", "split it, or check the line ends")

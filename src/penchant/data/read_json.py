"""Read JSON rows: one object on each line of a .jsonl file, or the elements of the one array of a .json file.

An array is parsed element by element, so that only one is held at a time. A key that occurs twice in an object makes a
bad row, because the intended value is unknown.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Never, TextIO

from pydantic_core import from_json

from penchant.data.opening import Row, as_row, lines_of, open_text, require_utf8, too_long
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.wording import reason_of

__all__ = ["SPACED_KEY", "rows_of_json", "rows_of_jsonl", "rows_of_lines"]

MAX_ELEMENT = 64_000_000
"""The longest element, in characters, that is read to its end; one over the row limit is a bad row."""
CHUNK = 1 << 16
BLANK = re.compile(r"[ \t\n\r]*")
LONGEST_WORD = 20
"""The most characters before the end of a chunk where a token cut in two may seem an error."""
SPACED_KEY = re.compile(rb'"[ \t\r\n]+:')
"""A key, or a text, with white space before the colon after it."""


def rows_of_jsonl(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield one row per line; blank lines are skipped."""
    yield from rows_of_lines(lines_of(path, limit), limit)


def rows_of_lines(lines: Iterable[tuple[int, bytes | None]], limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """The rows of lines with their numbers; None is a line over the limit."""
    decoder = _Decoder()
    for number, line in lines:
        if line is None:
            yield number, too_long("line", limit)
        elif line.strip():
            row = _plain_row(line)
            yield number, _parse_line(line, decoder) if row is None else row


def _plain_row(line: bytes) -> Row | None:
    """The row of a flawless line in which no key can occur twice; None for every other, which is examined more closely.

    The parser is pydantic's: some ten times as fast as the standard library's and equal in the values it accepts, but
    stricter (no lone surrogates, less depth), and it keeps the last of two equal keys. Every key is followed by `":`,
    so there are no duplicates if that occurs as often as there are keys; texts that contain it only give None.
    """
    try:
        value = from_json(line, cache_strings="keys")
    except ValueError:
        return None
    if type(value) is dict and line.count(b'":') == _num_keys(value) and not SPACED_KEY.search(line):
        return value
    return None


def _num_keys(value: dict[str, Any] | list[Any]) -> int:
    """The number of keys in a value, counting nested objects and lists."""
    number, inner = (len(value), value.values()) if type(value) is dict else (0, value)
    for item in inner:
        if type(item) is dict or type(item) is list:
            number += _num_keys(item)
    return number


def _parse_line(line: bytes, decoder: "_Decoder") -> Row | BadRow:
    try:
        return decoder.row(decoder.decode(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        return BadRow("not_utf8", f"the line is not UTF-8 (byte {line[error.start]:#04x})", "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return BadRow("invalid_json", f"the line is not JSON ({_what(error)})", "write one JSON object on each line")


def _what(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else reason_of(error)


def rows_of_json(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield one row per element; JSON lines under this extension are read as such, a single object is one row."""
    with open_text(path) as stream:
        values = _Values(path, stream)
        first = values.peek()
        if first == "[":
            yield from values.elements(limit)
        elif first:
            row, is_long = values.next(limit)
            if not values.peek():
                yield 1, too_long("row", limit) if is_long else row
            elif first == "{":
                yield from rows_of_jsonl(path, limit)
            else:
                values.refuse("Extra data", values.place)


class _Decoder(json.JSONDecoder):
    """The standard library's JSON decoder, which also reports a duplicate key of an object."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=self._object)
        self._twice: str | None = None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            self._twice = next(name for name in names if names.count(name) > 1)
        return value

    def row(self, value: object) -> Row | BadRow:
        """The value just decoded, as a row."""
        twice, self._twice = self._twice, None
        if twice is None:
            return as_row(value)
        return BadRow("bad_type", f"the key '{twice}' appears twice in one object", "keep one of them")


class _Values:
    """The values of a stream of JSON, one after the other; `text` is the part in memory."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self.place = 0
        self._path, self._stream = path, stream
        self._decoder = _Decoder()
        self._text, self._line, self._column = "", 1, 0  # the position of the text's start

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            self.place = BLANK.match(self._text, self.place).end()  # type: ignore[union-attr]
            if self.place < len(self._text):
                return self._text[self.place]
            if not self._fill():
                return ""

    def elements(self, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
        """The elements of the array that begins here, numbered from 1."""
        self.place += 1
        number, is_last = 0, self.peek() == "]"
        while not is_last:
            number += 1
            row, is_long = self.next(limit)
            yield number, too_long("row", limit) if is_long else row
            is_last = (mark := self.peek()) == "]"
            if not is_last and mark != ",":
                self.refuse("Expecting ',' delimiter", self.place)
            self.place += not is_last
        self.place += 1
        if self.peek():
            self.refuse("Extra data", self.place)

    def next(self, limit: int) -> tuple[Row | BadRow, bool]:
        """The next value as a row, and whether it is over the limit."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self.place)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self._text) - LONGEST_WORD or error.msg.startswith("Unterminated string")
                if not (is_cut and self._fill()):
                    self.refuse(error.msg, error.pos)
            except (ValueError, RecursionError) as error:
                where = f"{self._path}:{self._line_at(self.place)}"
                raise DataError(f"{where}: not JSON that can be read ({reason_of(error)}); correct it.") from error
            else:
                row = self._decoder.row(value)
                is_whole = self._text[end - 1] in '}]"' or end + LONGEST_WORD < len(self._text)
                if is_whole or not self._fill():  # a number may continue
                    size = end - self.place
                    is_long = size > limit // 4 and len(self._text[self.place : end].encode()) > limit
                    self.place = end
                    return row, is_long

    def refuse(self, problem: str, place: int) -> Never:
        """Raise DataError for the file as a whole: after a syntax error, the start of the next element is unknown."""
        column = self._column_at(place) + 1
        raise DataError(
            f"{self._path}:{self._line_at(place)}: not JSON ({problem} at column {column}); correct it there."
        )

    def _line_at(self, place: int) -> int:
        return self._line + self._text.count("\n", 0, place)

    def _column_at(self, place: int) -> int:
        last_end = self._text.rfind("\n", 0, place)
        return place - last_end - 1 if last_end >= 0 else self._column + place

    def _fill(self) -> bool:
        """Read more of the stream and discard what was consumed; False at its end."""
        held = len(self._text) - self.place
        if held > MAX_ELEMENT:
            where = f"{self._path}:{self._line_at(self.place)}"
            raise DataError(
                f"{where}: a value of more than {MAX_ELEMENT:,} characters begins here; check that it is closed."
            )
        more = self._stream.read(max(CHUNK, held))  # so that one long value is parsed only a few times
        if not more:
            return False
        require_utf8(self._path, more, self._line_at(len(self._text)))
        self._line, self._column = self._line_at(self.place), self._column_at(self.place)
        self._text, self.place = self._text[self.place :] + more, 0
        return True

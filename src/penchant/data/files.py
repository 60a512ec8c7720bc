"""Read the rows of a file: jsonl, json, csv, txt, each also gzipped, and parquet.

A whole file that cannot be read is a DataError. One bad line of a file that can be read is a BadRow in the stream, so
that the loader can count it and go on.

What a row is:
    .jsonl     a line with one JSON object; blank lines are skipped
    .json      an element of one array (a file of JSON lines under this name is read as such)
    .csv       a record under a header line, comma-separated, double-quoted where needed
    .parquet   a row (needs pyarrow)
    .txt       {"text": ...}: one document. Documents are separated by lines that hold only <|endoftext|>; in a file
               without any such line, by blank lines. With txt="lines", every line that is not blank is a row.
"""

import csv
import difflib
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from penchant.data.records import Origin
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

__all__ = ["MAX_LINE_BYTES", "SUPPORTED", "Row", "read_rows", "require_file", "scan_rows"]

MAX_LINE_BYTES = 1_000_000
"""A line (a record, in csv) longer than this, 1 MB, is a bad row: it is nearly always lines that lost their ends."""

SUPPORTED = (".jsonl", ".json", ".csv", ".txt", ".parquet")
SEPARATOR = "<|endoftext|>"

Row = dict[str, Any]
TxtRows = Literal["documents", "lines"]


def read_rows(path: str | os.PathLike[str], *, txt: TxtRows = "documents") -> Iterator[tuple[int, Row]]:
    """Yield (line, row) for every row of a file; `line` counts from 1 as `Origin.line` says.

    Raises DataError for a file that cannot be read and at the first bad row of one that can.
    """
    for line, row in scan_rows(path, txt=txt):
        if isinstance(row, BadRow):
            raise DataError(f"{Origin(file=os.fspath(path), line=line)}: {row.reason}; {row.fix}.")
        yield line, row


def scan_rows(
    path: str | os.PathLike[str], *, txt: TxtRows = "documents", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield (line, row) as read_rows does, but a bad row as a BadRow in its place.

    Raises DataError for a file that is missing, of an unknown format, empty, damaged or, as a whole, not readable.
    """
    path = Path(path)
    kind = _format_of(path)
    require_file(path)
    if kind == ".jsonl":
        rows = _jsonl(path, max_line_bytes)
    elif kind == ".json":
        rows = _json(path, max_line_bytes)
    elif kind == ".csv":
        rows = _csv(path, max_line_bytes)
    elif kind == ".txt":
        rows = _txt(path, txt, max_line_bytes)
    else:
        rows = _parquet(path)
    empty = True
    try:
        for row in rows:
            empty = False
            yield row
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file ({error}); fetch or compress it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions.") from error
    if empty:
        raise DataError(f"{path} is empty: it holds no rows; give a file with at least one.")


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = bool(suffixes) and suffixes[-1] == ".gz"
    kind = (suffixes[-2:-1] if gzipped else suffixes[-1:]) or [""]
    if kind[0] not in SUPPORTED or (gzipped and kind[0] == ".parquet"):
        got = "".join(suffixes[-2:] if gzipped else suffixes[-1:]) or "no ending"
        raise DataError(
            f"{path}: unknown format ({got}); give one of {', '.join(SUPPORTED)} (all but .parquet also with .gz)."
        )
    return kind[0]


def require_file(path: Path) -> None:
    """Raise DataError where there is none, with the name that was perhaps meant."""
    if path.is_dir():
        raise DataError(f"{path} is a folder; name a file in it.")
    if path.exists():
        return
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / close[0]}?" if close else "check the path."
    raise DataError(f"{path}: there is no such file; {hint}")


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_text(path: Path) -> str:
    """The whole file as text, without a byte order mark."""
    with _open(path) as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: not UTF-8 (byte {content[error.start]:#04x}); save the file as UTF-8."
        ) from error


def _too_long(what: str, limit: int) -> BadRow:
    return BadRow("too_long_line", f"the {what} is longer than {limit:,} bytes", "split it, or check the line ends")


def _jsonl(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    with _open(path) as stream:
        for number, line in _lines(stream, limit):
            if line is None:
                yield number, _too_long("line", limit)
            elif line.strip():
                yield number, _parse_line(line)


def _lines(stream: BinaryIO, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; None for one over the limit, of which no more than the limit is ever held."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) <= limit:
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(limit + 1)
        yield number, None


def _parse_line(line: bytes) -> Row | BadRow:
    try:
        return _as_row(json.loads(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        return BadRow("not_utf8", f"the line is not UTF-8 (byte {line[error.start]:#04x})", "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        what = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        return BadRow("invalid_json", f"the line is not JSON ({what})", "write one JSON object on each line")


def _as_row(value: object) -> Row | BadRow:
    if isinstance(value, dict):
        return value
    return BadRow("bad_type", f"a row must be a JSON object, got {type(value).__name__}", "write {...} for each row")


def _json(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    text = _read_text(path)
    if not text.strip():
        return
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from _jsonl(path, limit)
            return
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno}); correct it there."
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error}); correct it.") from error
    for number, element in enumerate(value if isinstance(value, list) else [value], start=1):
        yield number, _as_row(element)


def _csv(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    text = _read_text(path)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # the module's own limit is an exception, not a row
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield line, _csv_row(header, cells, limit)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: not CSV ({error}); check the quotes of the record that begins there."
        ) from error


def _csv_row(header: list[str], cells: list[str], limit: int) -> Row | BadRow:
    if sum(len(cell.encode()) for cell in cells) > limit:
        return _too_long("record", limit)
    if len(cells) > len(header):
        reason = f"the record has {len(cells)} cells and the header {len(header)}"
        return BadRow("bad_type", reason, "quote the cells that hold commas")
    return dict(zip(header, cells, strict=False))


def _txt(path: Path, txt: TxtRows, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    lines = _read_text(path).split("\n")
    if txt == "lines":
        blocks = [(number, [line]) for number, line in enumerate(lines, start=1) if line.strip()]
    else:
        blocks = list(_documents(lines))
    for number, block in blocks:
        if any(len(line.encode()) > limit for line in block):
            yield number, _too_long("line", limit)
        else:
            yield number, {"text": "\n".join(line.removesuffix("\r") for line in block).strip()}


def _documents(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    marked = any(line.strip() == SEPARATOR for line in lines)
    block: list[str] = []
    start = 1
    for number, line in enumerate([*lines, SEPARATOR if marked else ""], start=1):
        if line.strip() == (SEPARATOR if marked else ""):
            if block:
                yield start, block
            block = []
        elif block or line.strip():  # blank lines before a document's first word are not part of it
            start = start if block else number
            block.append(line)


def _parquet(path: Path) -> Iterator[tuple[int, Row | BadRow]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path}: reading parquet needs pyarrow; run pip install 'penchant[parquet]'.") from error
    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path} is not a parquet file that can be read ({reason}); write it again.") from error

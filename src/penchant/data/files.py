"""Read the rows of a file: jsonl, json, csv, tsv and txt, each also compressed, parquet and arrow.

A file that cannot be read at all is a DataError. One bad line of a readable file is a BadRow in the stream, so that
the loader can count it and continue.

One row is:
    .jsonl     a line with one JSON object; blank lines are skipped (.ndjson is the same)
    .json      an element of one array (a file of JSON lines under this name is read as such)
    .csv       a record under a header line, comma-separated, double-quoted where needed
    .tsv       the same, with tabs in place of commas
    .parquet   a row (needs pyarrow), and so is one of an .arrow file
    .txt       {"text": ...}: one document. Documents are separated by lines that hold only <|endoftext|>; in a file
               without any such line, by blank lines. With txt="lines", every line that is not blank is a row.

Rows are streamed: no more than one row of a file is held in memory.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from penchant.data.opening import Row
from penchant.data.read_arrow import columns_of_arrow, columns_of_parquet, rows_of_arrow, rows_of_parquet
from penchant.data.read_csv import columns_of_csv, rows_of_csv
from penchant.data.read_json import rows_of_json, rows_of_jsonl
from penchant.data.read_txt import TxtRows, rows_of_txt
from penchant.data.records import Origin
from penchant.data.unpacking import COMPRESSIONS
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.reading import A_FOLDER, NO_SUCH_FILE, os_reason, why_unreadable
from penchant.wording import nearest

__all__ = [
    "MAX_LINE_BYTES",
    "SUPPORTED",
    "Row",
    "TxtRows",
    "columns_of",
    "format_of",
    "read_rows",
    "require_file",
    "scan_rows",
]

MAX_LINE_BYTES = 1_000_000
"""A row longer than this, 1 MB, is a bad row: nearly always its line ends were lost."""

Rows = Iterator[tuple[int, Row | BadRow]]
READERS: dict[str, Callable[[Path, int], Rows]] = {
    ".jsonl": rows_of_jsonl,
    ".ndjson": rows_of_jsonl,
    ".json": rows_of_json,
    ".csv": rows_of_csv,
    ".tsv": partial(rows_of_csv, delimiter="\t"),
    ".txt": partial(rows_of_txt, txt="documents"),
    ".parquet": rows_of_parquet,
    ".arrow": rows_of_arrow,
}
COLUMNS: dict[str, Callable[[Path], list[str]]] = {
    ".csv": columns_of_csv,
    ".tsv": partial(columns_of_csv, delimiter="\t"),
    ".parquet": columns_of_parquet,
    ".arrow": columns_of_arrow,
}
SUPPORTED = tuple(READERS)
PACKED_INSIDE = (".parquet", ".arrow")
"""Extensions of formats that compress each column inside the file."""


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
    """Yield (line, row) as read_rows does, with a BadRow in place of a bad row.

    Raises DataError for a file that is missing, of an unknown format, empty, damaged or, as a whole, not readable.
    """
    path = Path(path)
    reader = READERS[format_of(path)]
    if reader is READERS[".txt"]:
        reader = partial(rows_of_txt, txt=txt)
    require_file(path)
    empty = True
    try:
        for row in reader(path, max_line_bytes):
            empty = False
            yield row
    except OSError as error:
        raise DataError(f"{path} cannot be read ({os_reason(error)}); check its permissions.") from error
    if empty:
        raise DataError(f"{path} is empty: it holds no rows; give a file with at least one.")


def columns_of(path: Path) -> list[str] | None:
    """The columns of a table file; None for any other file. Raises DataError as `scan_rows` does."""
    columns = COLUMNS.get(format_of(path))
    require_file(path)
    return columns and columns(path)


def format_of(path: Path) -> str:
    """The extension that names a file's format, without that of a compression. Raises DataError if it is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] if suffixes and suffixes[-1] in COMPRESSIONS else []
    kind = suffixes[-1 - len(packed) : len(suffixes) - len(packed)]
    if not kind or kind[0] not in SUPPORTED or (packed and kind[0] in PACKED_INSIDE):
        got = "".join(kind + packed) or "no ending"
        raise DataError(
            f"{path}: unknown format ({got}); give one of {', '.join(SUPPORTED)} (all but {' and '.join(PACKED_INSIDE)}"
            f" also with {', '.join(COMPRESSIONS)})."
        )
    return kind[0]


def require_file(path: Path) -> None:
    """Raise DataError where no file can be read, suggesting a similar name."""
    reason = why_unreadable(path)
    if reason is None:
        return
    if reason == A_FOLDER:
        raise DataError(f"{path} is a folder; name a file in it.")
    if reason != NO_SUCH_FILE:
        raise DataError(f"{path}: {reason}; name a file.")
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    by_stem = {name.partition(".")[0]: name for name in siblings}  # extensions are always similar
    near = nearest(path.name.partition(".")[0], by_stem)
    hint = f"did you mean {path.parent / by_stem[near]}?" if near else "check the path."
    raise DataError(f"{path}: {NO_SUCH_FILE}; {hint}")

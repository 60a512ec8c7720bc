"""Append to and read metrics.jsonl and samples.jsonl, one JSON row per line; unreadable lines are reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from penchant.files.whole import sync_file, sync_folder, write_atomically
from penchant.strict_json import LACKING, LARGEST, Count, Fields, Number, Text, object_in
from penchant.wording import SPELT_OUT, reason_of

__all__ = ["append_rows", "keep_rows", "plain", "read_rows_written", "row_in", "sync_rows"]

Say = Callable[[str], None]
NAMED = 5
"""The most lines or steps named in one message; others are counted."""


class MetricsRow(Fields):
    """A line of metrics.jsonl: numbers, null if not finite."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number | None]

    step: Count
    skipped: bool = LACKING


class SampleRow(Fields):
    """A line of samples.jsonl. Older versions did not record the response's length and end."""

    step: Count
    prompt: Text = LACKING
    response: Text
    num_tokens: Count = LACKING
    ended: bool = LACKING

    @model_validator(mode="after")
    def _says_both(self) -> Self:
        if (self.num_tokens is None) != (self.ended is None):
            raise ValueError("one of 'num_tokens' and 'ended' is missing")
        return self


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add JSON lines to a file."""
    with path.open("a", encoding="utf-8", errors=SPELT_OUT) as file:
        file.write("".join(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def sync_rows(*files: Path) -> None:
    """Sync rows to disk: a run that resumes from a checkpoint does not compute these again. Raises OSError."""
    for file in files:
        if file.is_file():
            sync_file(file)
            sync_folder(file.parent)


def read_rows_written(path: Path, say: Say = lambda _: None) -> list[dict[str, Any]]:
    """Rows in order. A torn last line, as a kill leaves it, is ignored; any other invalid line is reported.

    Only a line feed ends a row: answers may contain other characters that Python treats as line ends, such as U+2028.
    """
    *whole, torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows, damaged = [], {}
    for number, line in enumerate(whole, start=1):
        try:
            rows.append(row_in(line, path))
        except ValueError as error:
            if line.strip():
                damaged[number] = reason_of(error)
    with suppress(ValueError):
        rows.append(row_in(torn, path))
    if damaged:
        number, why = next(iter(damaged.items()))
        say(
            f"{path}:{_some(list(damaged))}: cannot be read as a row of a run (line {number}: {why}); left out, and "
            f"the other {len(rows)} rows are kept"
        )
    return rows


def row_in(line: str, path: Path) -> dict[str, Any]:
    """Parse a line of this file. Raises ValueError with the reason."""
    return object_in(line, SampleRow if path.name == "samples.jsonl" else MetricsRow)


def keep_rows(path: Path, step: int, say: Say = lambda _: None, *, evaluated: bool = True) -> None:
    """Keep the rows of steps up to `step` in the file, none for 0, and report steps missing from metrics.jsonl.

    evaluated: whether rows written after that step without a gradient are kept too.
    """

    def stays(row: dict[str, Any]) -> bool:
        return row["step"] < step or (row["step"] == step > 0 and (evaluated or "grad_norm" in row))

    rows = read_rows_written(path, say) if path.is_file() else []
    kept = [row for row in rows if stays(row)]
    if path.is_file():
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    if path.name == "metrics.jsonl" and (lost := sorted(set(range(1, step + 1)) - {row["step"] for row in kept})):
        say(f"{path}: holds no row of step {_some(lost)}; training continues, but its record stays incomplete")


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return ", ".join(map(str, numbers[:NAMED])) + more


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replace non-finite numbers by null, as JSON cannot express them.

    Absurdly large numbers become null as well, as no figure or mean can use them.
    """
    return {k: None if isinstance(v, float) and not abs(v) <= LARGEST else v for k, v in row.items()}

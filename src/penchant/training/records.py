"""metrics.jsonl and samples.jsonl: one JSON line a row, appended; what cannot be read again is said, with its line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.files.whole import write_atomically
from penchant.wording import SPELT_OUT

__all__ = ["append_rows", "keep_rows", "plain", "read_rows_written"]

Say = Callable[[str], None]
NAMED = 5
"""Lines or steps named in one message; the others are counted."""


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add JSON lines to a file."""
    with path.open("a", encoding="utf-8", errors=SPELT_OUT) as file:
        file.write("".join(json.dumps(plain(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_rows_written(path: Path, say: Say = lambda _: None) -> list[dict[str, Any]]:
    """Rows in order. A torn last line is left out, as a kill leaves one; any other that is no row is said too.

    Only a line feed ends a row: answers may hold what else Python takes for the end of a line, such as U+2028.
    """
    *whole, torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    rows, damaged = [], []
    for number, line in enumerate(whole, start=1):
        row = _row_in(line)
        if row is not None:
            rows.append(row)
        elif line.strip():
            damaged.append(number)
    if (last := _row_in(torn)) is not None:
        rows.append(last)
    if damaged:
        say(f"{path}:{_some(damaged)}: not readable as a row of a run; left out, the other {len(rows)} rows are kept")
    return rows


def keep_rows(path: Path, step: int, say: Say = lambda _: None, *, evaluated: bool = True) -> None:
    """Leave the rows of steps up to `step` in the file, none for 0, and say which steps have none in metrics.jsonl.

    evaluated: whether rows that were written after that step, which have no gradient, are left too.
    """

    def stays(row: dict[str, Any]) -> bool:
        return row["step"] < step or (row["step"] == step > 0 and (evaluated or "grad_norm" in row))

    rows = read_rows_written(path, say) if path.is_file() else []
    kept = [row for row in rows if stays(row)]
    if path.is_file():
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    if path.name == "metrics.jsonl" and (lost := sorted(set(range(1, step + 1)) - {row["step"] for row in kept})):
        say(f"{path}: holds nothing of step {_some(lost)}; training goes on as it was, its record stays incomplete")


def _row_in(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and type(row.get("step")) is int else None


def _some(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return ", ".join(map(str, numbers[:NAMED])) + more


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no word for a number that is not finite; null keeps the line readable for other tools."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}

"""Write and read answers as lines of a file, each checked before it is reused.

In an unfinished file, a line names the place of its comparison, from 0. In a finished file every line is in its place
and has no number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.data import Comparison
from penchant.data.authors import STAND_IN
from penchant.errors import OutputError
from penchant.evaluation.judges.protocol import Judgement
from penchant.files import append_whole, write_atomically

__all__ = [
    "JUDGE_FIELD",
    "answered",
    "append",
    "as_line",
    "details_of",
    "found_in",
    "put_in_order",
    "without_torn_line",
]

JUDGE_FIELD = "judge"
"""The field of a comparison's meta for the details of a judgement."""

PEOPLE_FIELD = "people"
"""The field of a comparison's meta for the counts of people's answers."""

PLACE = "place"
"""The field of a line, besides those of the comparison, for its place."""


def answered(comparison: Comparison, judgement: Judgement, judge: str) -> Comparison:
    """The comparison with the judge's answer: naming the people who gave it, or marked as not given by a person."""
    if judgement.people is not None:
        meta = comparison.meta | ({PEOPLE_FIELD: dict(judgement.details)} if judgement.details else {})
        who = ", ".join(judgement.people) or comparison.annotator
        return comparison.model_copy(update={"outcome": judgement.outcome, "annotator": who, "meta": meta})
    meta = comparison.meta | {JUDGE_FIELD: dict(judgement.details)}
    return comparison.model_copy(update={"outcome": judgement.outcome, "annotator": f"{STAND_IN}{judge}", "meta": meta})


def details_of(comparison: Comparison) -> Mapping[str, Any]:
    """The details of the judge's answer; empty if no judge gave it."""
    details = comparison.meta.get(JUDGE_FIELD)
    return details if isinstance(details, dict) else {}


def append(path: Path, lines: list[str]) -> None:
    """Move `lines` to the end of the file, see `append_whole`."""
    if lines:
        append_whole(path, "".join(lines))
        lines.clear()


def as_line(comparison: Comparison, place: int | None = None) -> str:
    """The comparison in JSON; place: its number, in an unfinished file."""
    beside = {} if place is None else {PLACE: place}
    return json.dumps(beside | comparison.model_dump(mode="json", exclude_none=True), ensure_ascii=False) + "\n"


def put_in_order(scratch: Path, votes: Sequence[Comparison]) -> None:
    """Replace an unfinished file by the finished one: in order, without place numbers."""
    write_atomically(scratch, "".join(map(as_line, votes)))


def without_torn_line(path: Path) -> Path:
    """Cut the file after its last complete line."""
    written = path.read_bytes()
    os.truncate(path, written.rfind(b"\n") + 1)
    return path


def found_in(path: Path, comparisons: Sequence[Comparison], judge: str) -> dict[int, Comparison]:
    """The answers in a file by place, each checked; a line without a number is in its place, a torn one is ignored."""
    found: dict[int, Comparison] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1]):
        where = f"{path}:{number + 1}"
        place, row = _read(line, number, where)
        if place not in range(len(comparisons)):
            raise OutputError(
                f"{where}: answers comparison {place + 1}, but there are {len(comparisons)}; choose another "
                "`output=...`"
            )
        found[place] = _checked(row, comparisons[place], judge, where)
    return found


def _read(line: bytes, number: int, where: str) -> tuple[int, Comparison]:
    try:
        row = json.loads(line)
        return int(row.pop(PLACE, number)), Comparison.model_validate(row)
    except (ValueError, TypeError, AttributeError) as error:
        raise OutputError(f"{where}: is not an answered comparison; remove the file and begin again") from error


def _checked(row: Comparison, comparison: Comparison, judge: str, where: str) -> Comparison:
    if row.annotator != f"{STAND_IN}{judge}":
        raise OutputError(f"{where}: was answered by {row.annotator!r}, not by {judge!r}; choose another `output=...`")
    judgement = Judgement(row.outcome or "tie", details_of(row))
    if row != answered(comparison, judgement, judge):
        raise OutputError(
            f"{where}: answers a different comparison from the one in its place; choose another `output=...`"
        )
    return row

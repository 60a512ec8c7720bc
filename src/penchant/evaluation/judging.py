"""Comparisons in, answered comparisons out, by any judge: written as they come, taken up again, never half-written.

Answers are appended to a file with a leading dot and brought to the disk every few seconds; it becomes the output once
every comparison is answered. Each line is checked against the comparison and the judge before it is believed.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data import Comparison, read_rows
from penchant.errors import DataError, OutputError
from penchant.evaluation.judges import Judge, Judgement
from penchant.evaluation.winrate import WinRate, win_rate

__all__ = ["JUDGE_FIELD", "Tally", "answered", "judge_to_file", "read_comparisons", "tally", "unfinished"]

JUDGE_FIELD = "judge"
"""The field of a comparison's meta that holds the details of a judgement."""

SECONDS_BETWEEN_WRITES = 2.0


@dataclass(frozen=True)
class Tally:
    """What a judge answered. num_first and num_second: asked in both orders, it named the same place twice.

    num_disagreed: the orders disagreed in another way, such as a tie in one. All of these, and what could not be read,
    are ties in `outcomes`. num_in_both_orders: comparisons whose two replies could be read.
    """

    outcomes: dict[str, int]
    num_identical: int
    num_unreadable: int
    num_in_both_orders: int
    num_first: int
    num_second: int
    num_disagreed: int

    @property
    def position_bias(self) -> WinRate | None:
        """Share of the comparisons asked in both orders that were decided by the place; None where none was."""
        decided = self.num_first + self.num_second
        return win_rate(decided, self.num_in_both_orders - decided) if self.num_in_both_orders else None


def read_comparisons(path: Path) -> list[Comparison]:
    """The rows of a file of comparisons, answered or not. Raises DataError with file and line."""
    comparisons = []
    for number, row in read_rows(path):
        try:
            comparison = Comparison.model_validate(row)
        except ValueError as error:
            first = str(error).splitlines()[1:2]
            raise DataError(
                f"{path}:{number}: not a comparison ({' '.join(first) or error}); give a file that `penchant sample` "
                "wrote"
            ) from error
        if not comparison.prompt:
            raise DataError(f"{path}:{number}: the prompt holds no message, so there is nothing to judge; remove it")
        comparisons.append(comparison)
    return comparisons


def answered(comparison: Comparison, judgement: Judgement, judge: str) -> Comparison:
    """The comparison with the judge's answer, marked as one that no person gave."""
    meta = comparison.meta | {JUDGE_FIELD: dict(judgement.details)}
    return comparison.model_copy(update={"outcome": judgement.outcome, "annotator": f"stand-in:{judge}", "meta": meta})


def judge_to_file(
    judge: Judge,
    comparisons: Sequence[Comparison],
    output: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Comparison]:
    """Answer every comparison and write one JSON line for each, in order; returns them.

    resume: go on with what an interrupted call left; a finished file is read and checked. Raises OutputError where
    something is in the way, or was answered by another judge or about other comparisons.
    """
    scratch = unfinished(output)
    if output.exists() and not resume:
        raise OutputError(f"{output}: exists already; choose another --output")
    if scratch.exists() and not resume:
        raise OutputError(f"{output}: an interrupted call left answers in {scratch}; pass --resume, or remove them")
    if output.exists():
        found = _found(output, comparisons, judge.name)
        if len(found) < len(comparisons):
            raise OutputError(f"{output}: answers {len(found)} of {len(comparisons)}; choose another --output")
        return found
    try:
        found = _found(_without_torn_line(scratch), comparisons, judge.name) if scratch.exists() else []
        output.parent.mkdir(parents=True, exist_ok=True)
        with closing(_judged(judge, comparisons[len(found) :], scratch)) as stream:
            for comparison in stream:
                found.append(comparison)
                on_progress(len(found), len(comparisons))
        scratch.touch()  # where there was nothing to answer
        os.replace(scratch, output)
    except OSError as error:
        raise OutputError(
            f"{output}: cannot be written ({error.strerror}); free some space or choose another"
        ) from error
    return found


def tally(comparisons: Iterable[Comparison]) -> Tally:
    """Count what a judge answered, from the details beside each answer."""
    outcomes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for comparison in comparisons:
        outcomes[str(comparison.outcome)] += 1
        counts[_how(comparison.meta.get(JUDGE_FIELD))] += 1
    orders = ("agreed", "first", "second", "disagreed")
    return Tally(
        outcomes={name: outcomes[name] for name in ("a", "b", "tie", "both_bad")},
        num_identical=counts["identical"],
        num_unreadable=counts["unreadable"],
        num_in_both_orders=sum(counts[name] for name in orders),
        num_first=counts["first"],
        num_second=counts["second"],
        num_disagreed=counts["disagreed"],
    )


def unfinished(output: Path) -> Path:
    """Where answers lie until all are there."""
    return output.with_name(f".{output.name}.answering")


def _judged(judge: Judge, comparisons: Sequence[Comparison], scratch: Path) -> Generator[Comparison, None, None]:
    """Every comparison answered; it is on the disk some seconds later, or when this ends in any way."""
    pending: list[str] = []
    last = time.monotonic()
    judgements = judge.answers(comparisons)
    try:
        for comparison, judgement in zip(comparisons, judgements, strict=True):
            done = answered(comparison, judgement, judge.name)
            pending.append(_line(done))
            if time.monotonic() - last > SECONDS_BETWEEN_WRITES:
                _append(scratch, pending)
                last = time.monotonic()
            yield done
    finally:
        getattr(judgements, "close", lambda: None)()
        _append(scratch, pending)


def _append(path: Path, lines: list[str]) -> None:
    """Move `lines` to the end of the file, on the disk before this returns."""
    if not lines:
        return
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(lines))
        file.flush()
        os.fsync(file.fileno())
    lines.clear()


def _line(comparison: Comparison) -> str:
    return json.dumps(comparison.model_dump(mode="json", exclude_none=True), ensure_ascii=False) + "\n"


def _found(path: Path, comparisons: Sequence[Comparison], judge: str) -> list[Comparison]:
    """The answers in a file, each checked; a torn last line is none."""
    lines = path.read_bytes().split(b"\n")[:-1]
    if len(lines) > len(comparisons):
        raise OutputError(f"{path}: holds {len(lines)} answers to {len(comparisons)} comparisons; remove it")
    return [
        _checked(line, comparison, judge, f"{path}:{number}")
        for number, (line, comparison) in enumerate(zip(lines, comparisons, strict=False), start=1)
    ]


def _without_torn_line(path: Path) -> Path:
    """The file, cut where its last whole line ends."""
    written = path.read_bytes()
    os.truncate(path, written.rfind(b"\n") + 1)
    return path


def _checked(line: bytes, comparison: Comparison, judge: str, where: str) -> Comparison:
    try:
        row = Comparison.model_validate_json(line)
    except ValueError as error:
        raise OutputError(f"{where}: not an answered comparison; remove the file and begin again") from error
    if row.annotator != f"stand-in:{judge}":
        raise OutputError(f"{where}: was answered by {row.annotator!r}, not by {judge!r}; choose another --output")
    details = row.meta.get(JUDGE_FIELD)
    judgement = Judgement(row.outcome or "tie", details if isinstance(details, dict) else {})
    if row != answered(comparison, judgement, judge):
        raise OutputError(f"{where}: answers another comparison than the one in its place; choose another --output")
    return row


def _how(details: Any) -> str:
    """How a judgement came about, in one word."""
    details = details if isinstance(details, dict) else {}
    orders = details.get("orders")
    if details.get("identical"):
        return "identical"
    if "unreadable" in details or (orders and None in orders):
        return "unreadable"
    if not orders:
        return "scored"
    if orders[0] == orders[1]:
        return str(orders[0]) if orders[0] in ("first", "second") else "agreed"
    return "agreed" if set(orders) == {"first", "second"} else "disagreed"

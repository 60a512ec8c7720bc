"""Answer comparisons with any judge, in memory or into a file that can be resumed.

Answers are appended as they arrive to a file with a leading dot, which is synced every few seconds. Once every
comparison is answered they become the output, in order. Each line is checked against the comparison and the judge
before it is reused. One process at a time writes an output.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pydantic import ValidationError

from penchant.data import Comparison, read_rows
from penchant.data.in_memory import RowSource
from penchant.data.opening import Row
from penchant.data.verdicts import BadRow, bad_row_from_validation
from penchant.errors import ConfigError, DataError, OutputError
from penchant.evaluation.judges.lines import (
    answered,
    append,
    as_line,
    details_of,
    found_in,
    put_in_order,
    without_torn_line,
)
from penchant.evaluation.judges.orders import asks_once, in_both_orders, was_asked_once
from penchant.evaluation.judges.protocol import Judge
from penchant.files.lock import exclusive
from penchant.files.whole import put_in_place

__all__ = ["judge_comparisons", "judge_to_file", "num_kept", "read_comparisons", "unfinished"]

SECONDS_BETWEEN_WRITES = 2.0


def read_comparisons(rows: Path | RowSource) -> list[Comparison]:
    """The rows of a file, or in memory, as comparisons, answered or not. Raises DataError with the row's place."""
    comparisons = []
    for where, row in _placed(rows):
        try:
            comparison = Comparison.model_validate(row)
        except ValidationError as error:
            raise DataError(
                f"{where}: is not a comparison ({bad_row_from_validation(error).reason}); give a file that "
                "`penchant sample` wrote"
            ) from error
        if not comparison.prompt:
            raise DataError(f"{where}: the prompt holds no message, so there is nothing to judge; remove the line")
        comparisons.append(comparison)
    return comparisons


def _placed(rows: Path | RowSource) -> Iterator[tuple[str, Row]]:
    """Yield every row after its place."""
    if isinstance(rows, Path):
        yield from ((f"{rows}:{number}", row) for number, row in read_rows(rows))
        return
    for number, row in rows.scan():
        where = str(rows.origin(number))
        if isinstance(row, BadRow):
            raise DataError(f"{where}: {row.reason}; {row.fix}.")
        yield where, row


def judge_comparisons(
    judge: Judge,
    comparisons: Sequence[Comparison],
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Comparison]:
    """Return the comparisons with the judge's answers, in order. Raises UserError if the judge fails.

    Each is asked in both orders, unless the judge `asks_once`.
    """
    found: dict[int, Comparison] = {}
    with closing(in_both_orders(judge, comparisons)) as judgements:
        for place, judgement in judgements:
            found[place] = answered(comparisons[place], judgement, judge.name)
            on_progress(len(found), len(comparisons))
    return _all_of(found, comparisons, judge)


def judge_to_file(
    judge: Judge,
    comparisons: Sequence[Comparison],
    output: Path,
    *,
    resume: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Comparison]:
    """Answer every comparison, write one JSON line for each, in order, and return them.

    resume: continue an interrupted call; a finished file is read and checked. Raises OutputError if the output exists,
    was answered by another judge or for other comparisons, if an unfinished one holds answers in one order by a judge
    that is asked in both, or if another process is writing it; the last goes unnoticed on systems without file locks
    (see `files/lock.py`).
    """
    if output.exists():
        return _finished(judge, comparisons, output, resume)
    lock = output.with_name(f".{output.name}.lock")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock, f"{output}: another process is writing answers to it; wait until it has finished"):
            if output.exists():  # created meanwhile
                return _finished(judge, comparisons, output, resume)
            scratch = unfinished(output)
            if scratch.exists() and not resume:
                raise OutputError(
                    f"{output}: an interrupted call left answers in {scratch}; continue them with `resume=True`, or "
                    "remove them"
                )
            found = _begun(judge, comparisons, scratch) if scratch.exists() else {}
            with closing(_judged(judge, comparisons, found, scratch)) as stream:
                for place, comparison in stream:
                    found[place] = comparison
                    on_progress(len(found), len(comparisons))
            votes = _all_of(found, comparisons, judge)
            put_in_order(scratch, votes)
            put_in_place(scratch, output)
    except OSError as error:
        raise OutputError(
            f"{output}: cannot be written ({error.strerror}); free some space or choose another `output=...`"
        ) from error
    return votes


def unfinished(output: Path) -> Path:
    """The path of the unfinished answers."""
    return output.with_name(f".{output.name}.answering")


def num_kept(output: Path) -> int:
    """The number of answers so far, finished or not; call it after `judge_to_file` has ended."""
    file = output if output.exists() else unfinished(output)
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _finished(judge: Judge, comparisons: Sequence[Comparison], output: Path, resume: bool) -> list[Comparison]:
    if not resume:
        raise OutputError(f"{output}: exists already; choose another `output=...`")
    found = found_in(output, comparisons, judge.name)
    if len(found) < len(comparisons):
        raise OutputError(
            f"{output}: holds answers to {len(found)} of {len(comparisons)} comparisons; choose another `output=...`"
        )
    return [found[place] for place in range(len(comparisons))]


def _begun(judge: Judge, comparisons: Sequence[Comparison], scratch: Path) -> dict[int, Comparison]:
    """The answers of an interrupted call. A file must not mix answers in one order with answers in both."""
    found = found_in(without_torn_line(scratch), comparisons, judge.name)
    if not asks_once(judge) and any(was_asked_once(details_of(one)) for one in found.values()):
        raise OutputError(
            f"{scratch}: holds answers that {judge.name!r} gave in one order, but it is now asked in both orders; "
            "remove the file and start again"
        )
    return found


def _all_of(found: Mapping[int, Comparison], comparisons: Sequence[Comparison], judge: Judge) -> list[Comparison]:
    if len(found) < len(comparisons):
        raise ConfigError(
            f"The judge {judge.name!r} answered {len(found)} of {len(comparisons)} comparisons; have it answer all."
        )
    return [found[place] for place in range(len(comparisons))]


def _judged(
    judge: Judge, comparisons: Sequence[Comparison], found: Mapping[int, Comparison], scratch: Path
) -> Generator[tuple[int, Comparison], None, None]:
    """Yield (place, answered) for missing answers; each is synced to disk within seconds, or when this ends."""
    missing = [place for place in range(len(comparisons)) if place not in found]
    has_answered = any(any(details_of(comparison).get("orders") or ()) for comparison in found.values())
    pending: list[str] = []
    last = time.monotonic()
    try:
        asked = [comparisons[place] for place in missing]
        with closing(in_both_orders(judge, asked, has_answered=has_answered)) as judgements:
            for number, judgement in judgements:
                place = missing[number]
                done = answered(comparisons[place], judgement, judge.name)
                pending.append(as_line(done, place))
                if time.monotonic() - last > SECONDS_BETWEEN_WRITES:
                    append(scratch, pending)
                    last = time.monotonic()
                yield place, done
    finally:
        append(scratch, pending)

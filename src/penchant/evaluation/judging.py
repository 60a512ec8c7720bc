"""Comparisons in, answered comparisons out, by any judge: written as they come, taken up again, never half-written.

Answers are appended to a file with a leading dot as they come and brought to the disk every few seconds. Once every
comparison is answered they become the output, in order. Each line is checked against the comparison and the judge
before it is believed. One process at a time answers into an output.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from penchant.data import Comparison, read_rows
from penchant.data.verdicts import bad_row_from_validation
from penchant.errors import DataError, OutputError
from penchant.evaluation.judges import Judge, JudgeAtOnce, Judgement
from penchant.evaluation.judging_lines import (
    JUDGE_FIELD,
    answered,
    append,
    as_line,
    details_of,
    found_in,
    put_in_order,
    without_torn_line,
)
from penchant.files.lock import exclusive
from penchant.ranking.winrate import WinRate, win_rate

__all__ = ["JUDGE_FIELD", "Tally", "answered", "judge_to_file", "num_kept", "read_comparisons", "tally", "unfinished"]

SECONDS_BETWEEN_WRITES = 2.0


@dataclass(frozen=True)
class Tally:
    """What a judge answered. num_first and num_second: asked in both orders, it named the same place twice.

    num_identical: comparisons of a response with itself, word by word, whether the judge was asked or not.
    num_disagreed: the orders disagreed in another way, such as a tie in one. All of these, and what could not be read,
    are ties in `outcomes`. num_refused: of those that could not be read, how many the server would not take.
    num_in_both_orders: comparisons whose two replies could be read.
    """

    outcomes: dict[str, int]
    num_identical: int
    num_unreadable: int
    num_refused: int
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
        except ValidationError as error:
            raise DataError(
                f"{path}:{number}: not a comparison ({bad_row_from_validation(error).reason}); give a file that "
                "`penchant sample` wrote"
            ) from error
        if not comparison.prompt:
            raise DataError(f"{path}:{number}: the prompt holds no message, so there is nothing to judge; remove it")
        comparisons.append(comparison)
    return comparisons


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
    something is in the way, or was answered by another judge or about other comparisons, and where another process is
    answering into `output`; that is not noticed where there are no locks (see `exclusive.py`).
    """
    if output.exists():
        return _finished(judge, comparisons, output, resume)
    lock = output.with_name(f".{output.name}.lock")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock, f"{output}: another process is answering into it; wait for it"):
            if output.exists():  # by now
                return _finished(judge, comparisons, output, resume)
            scratch = unfinished(output)
            if scratch.exists() and not resume:
                raise OutputError(
                    f"{output}: an interrupted call left answers in {scratch}; pass --resume, or remove them"
                )
            found = found_in(without_torn_line(scratch), comparisons, judge.name) if scratch.exists() else {}
            with closing(_judged(judge, comparisons, found, scratch)) as stream:
                for place, comparison in stream:
                    found[place] = comparison
                    on_progress(len(found), len(comparisons))
            votes = [found[place] for place in range(len(comparisons))]
            put_in_order(scratch, votes)
            os.replace(scratch, output)
    except OSError as error:
        raise OutputError(
            f"{output}: cannot be written ({error.strerror}); free some space or choose another"
        ) from error
    return votes


def tally(comparisons: Iterable[Comparison]) -> Tally:
    """Count what a judge answered, from the details beside each answer."""
    outcomes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for comparison in comparisons:
        outcomes[str(comparison.outcome)] += 1
        counts[_how(comparison)] += 1
        counts["refused"] += str(details_of(comparison).get("unreadable")).startswith("HTTP ")
    orders = ("agreed", "first", "second", "disagreed")
    return Tally(
        outcomes={name: outcomes[name] for name in ("a", "b", "tie", "both_bad")},
        num_identical=counts["identical"],
        num_unreadable=counts["unreadable"],
        num_refused=counts["refused"],
        num_in_both_orders=sum(counts[name] for name in orders),
        num_first=counts["first"],
        num_second=counts["second"],
        num_disagreed=counts["disagreed"],
    )


def unfinished(output: Path) -> Path:
    """Where answers lie until all are there."""
    return output.with_name(f".{output.name}.answering")


def num_kept(output: Path) -> int:
    """How many answers are there, finished or not; to be called after `judge_to_file` has ended."""
    file = output if output.exists() else unfinished(output)
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _finished(judge: Judge, comparisons: Sequence[Comparison], output: Path, resume: bool) -> list[Comparison]:
    if not resume:
        raise OutputError(f"{output}: exists already; choose another --output")
    found = found_in(output, comparisons, judge.name)
    if len(found) < len(comparisons):
        raise OutputError(f"{output}: answers {len(found)} of {len(comparisons)}; choose another --output")
    return [found[place] for place in range(len(comparisons))]


def _judged(
    judge: Judge, comparisons: Sequence[Comparison], found: Mapping[int, Comparison], scratch: Path
) -> Generator[tuple[int, Comparison], None, None]:
    """(place, answered) of what was not found; it is on the disk some seconds later, or when this ends in any way."""
    missing = [place for place in range(len(comparisons)) if place not in found]
    has_answered = any(any(details_of(comparison).get("orders") or ()) for comparison in found.values())
    pending: list[str] = []
    last = time.monotonic()
    try:
        with closing(_judgements(judge, [comparisons[place] for place in missing], has_answered)) as judgements:
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


def _judgements(
    judge: Judge, comparisons: Sequence[Comparison], has_answered: bool
) -> Generator[tuple[int, Judgement], None, None]:
    if isinstance(judge, JudgeAtOnce):
        yield from judge.as_they_come(comparisons, has_answered=has_answered)
    else:
        yield from zip(range(len(comparisons)), judge.answers(comparisons), strict=True)


def _how(comparison: Comparison) -> str:
    """How a judgement came about, in one word."""
    details = details_of(comparison)
    orders = details.get("orders")
    if comparison.a.text == comparison.b.text:  # judges that score, and people, do not say so
        return "identical"
    if "unreadable" in details or (orders and None in orders):
        return "unreadable"
    if not orders:
        return "scored"
    if orders[0] == orders[1]:
        return str(orders[0]) if orders[0] in ("first", "second") else "agreed"
    return "agreed" if set(orders) == {"first", "second"} else "disagreed"

"""What fails only once it is tokens: a row of which nothing is left, or a pair of a row of which others are trained on.

A row may make several pairs, as a list of answers does, or several responses. It is a bad row if none of them is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penchant.data import Origin, Verdict

__all__ = ["Failures", "FailuresSoFar"]


@dataclass(frozen=True)
class Failures:
    """rows: why nothing is left of a row, once for each. parts: why a pair, or a response, of any other row failed."""

    rows: tuple[Verdict, ...] = ()
    parts: tuple[Verdict, ...] = ()

    def counted(self, counts: Mapping[str, int], early: Sequence[Verdict]) -> dict[str, int]:
        """Rows by verdict; one that failed as tokens gives up the verdict, among `early`, that it had as text."""
        rows = Counter(counts)
        before = {verdict.origin: verdict.code for verdict in early}
        for verdict in self.rows:
            rows[before.get(verdict.origin, "keep")] -= 1
            rows[verdict.code] += 1
        return {code: number for code, number in rows.items() if number}

    def parts_by_code(self) -> dict[str, int]:
        """How many parts failed, by why."""
        return dict(Counter(verdict.code for verdict in self.parts))

    def of_parts(self) -> Iterator[str]:
        """The parts that failed, in words."""
        if self.parts:
            found = ", ".join(f"{number} {code}" for code, number in self.parts_by_code().items())
            yield f"left out {len(self.parts)} of the pairs or responses of rows that have others: {found}"


class FailuresSoFar:
    """Tells the two apart while items are encoded, in memory that grows with the failures alone.

    Those of a row come one after the other, or its failures are told before what was kept of it.
    """

    def __init__(self) -> None:
        self._verdicts: dict[Origin, list[Verdict]] = {}
        self._in_part: set[Origin] = set()
        self._kept: Origin | None = None

    def failed(self, verdict: Verdict) -> None:
        """One could not become tokens."""
        self._verdicts.setdefault(verdict.origin, []).append(verdict)
        if verdict.origin == self._kept:
            self._in_part.add(verdict.origin)

    def kept(self, origin: Origin) -> None:
        """One became tokens."""
        self._kept = origin
        if self._verdicts and origin in self._verdicts:
            self._in_part.add(origin)

    def add(self, problems: Iterable[Verdict], kept: Iterable[Origin]) -> None:
        """What became of many."""
        for verdict in problems:
            self.failed(verdict)
        for origin in kept:
            self.kept(origin)

    def in_part(self) -> frozenset[Origin]:
        """The rows of which something failed and something was kept."""
        return frozenset(self._in_part)

    def found(self) -> Failures:
        """What there is so far."""
        rows = tuple(found[0] for origin, found in self._verdicts.items() if origin not in self._in_part)
        parts = tuple(one for origin, found in self._verdicts.items() if origin in self._in_part for one in found)
        return Failures(rows, parts)

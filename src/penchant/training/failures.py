"""Track failures of tokenisation: rows of which nothing is left, and single pairs of rows that are otherwise used.

A row may make several pairs, such as a list of answers, or several responses. It is a bad row if none of them is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penchant.data import Origin, Verdict

__all__ = ["Failures", "FailuresSoFar"]


@dataclass(frozen=True)
class Failures:
    """rows: for each row without anything left, the reason. parts: for other rows, the reason of each failed part."""

    rows: tuple[Verdict, ...] = ()
    parts: tuple[Verdict, ...] = ()

    def counted(self, counts: Mapping[str, int], early: Sequence[Verdict]) -> dict[str, int]:
        """Rows by verdict; a row that failed as tokens loses its earlier verdict, among `early`."""
        rows = Counter(counts)
        before = {verdict.origin: verdict.code for verdict in early}
        for verdict in self.rows:
            rows[before.get(verdict.origin, "keep")] -= 1
            rows[verdict.code] += 1
        return {code: number for code, number in rows.items() if number}

    def parts_by_code(self) -> dict[str, int]:
        """The number of failed parts, by reason."""
        return dict(Counter(verdict.code for verdict in self.parts))

    def of_parts(self) -> Iterator[str]:
        """The parts that failed, in words."""
        if self.parts:
            found = ", ".join(f"{number} {code}" for code, number in self.parts_by_code().items())
            yield f"left out {len(self.parts)} pairs or responses of rows that keep others: {found}"


class FailuresSoFar:
    """Separates the two while items are encoded, in memory that grows only with the failures.

    The items of a row come consecutively, or its failures are reported before the ones kept.
    """

    def __init__(self) -> None:
        self._verdicts: dict[Origin, list[Verdict]] = {}
        self._in_part: set[Origin] = set()
        self._kept: Origin | None = None

    def failed(self, verdict: Verdict) -> None:
        """Record an item that could not be encoded."""
        self._verdicts.setdefault(verdict.origin, []).append(verdict)
        if verdict.origin == self._kept:
            self._in_part.add(verdict.origin)

    def kept(self, origin: Origin) -> None:
        """Record an encoded item."""
        self._kept = origin
        if self._verdicts and origin in self._verdicts:
            self._in_part.add(origin)

    def add(self, problems: Iterable[Verdict], kept: Iterable[Origin]) -> None:
        """Record the results of many items."""
        for verdict in problems:
            self.failed(verdict)
        for origin in kept:
            self.kept(origin)

    def in_part(self) -> frozenset[Origin]:
        """The rows with both failed and kept items."""
        return frozenset(self._in_part)

    def found(self) -> Failures:
        """The failures so far."""
        rows = tuple(found[0] for origin, found in self._verdicts.items() if origin not in self._in_part)
        parts = tuple(one for origin, found in self._verdicts.items() if origin in self._in_part for one in found)
        return Failures(rows, parts)

"""Show the result of a data check in words and tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from penchant.data import CODES
from penchant.report.parts import Line, Part, Table
from penchant.training.checking import CheckReport

__all__ = ["check_parts"]

NUM_ALIKE = 5


def check_parts(report: CheckReport, *, num_problems: int | None) -> Iterator[Part]:
    """Rows by verdict, the first problems, lengths and remarks. num_problems: the number to show; None for all."""
    yield from _rows(report, num_problems)
    for line in report.remarks_on_rows:
        yield Line(line, "note")
    yield ""
    yield from _lengths(report)
    for remark in report.remarks:
        many = f"{remark.count} sequences " if remark.count else ""
        where = f" (first at {remark.first})" if remark.first else ""
        yield Line(f"note: {many}{remark.text}{where}", "note")
    if report.ches:
        yield from _ches(report.ches)


def _rows(report: CheckReport, limit: int | None) -> Iterator[Part]:
    num_rows = sum(report.rows.values())
    rows = "1 row" if num_rows == 1 else f"{num_rows:,} rows"
    yield Line(f"{rows} of {report.kind}, format {report.format}; {report.num_bad} cannot be used", "heading")
    if report.kind == "labelled":
        yield '`penchant dpo` with `objective="kto"` reads them so; `penchant sft` imitates all not labelled bad'
    for code, number in sorted(report.rows.items(), key=lambda item: (item[0] != "keep", -item[1])):
        yield f"  {number:>7} {code:<22} {CODES[code].severity:<8} {CODES[code].meaning}"
    problems = sorted(report.problems, key=lambda verdict: verdict.severity != "error")
    for verdict in problems[:limit]:
        text = f"{verdict.severity}: {verdict}"
        yield Line(text, "fault") if verdict.severity == "error" else text
    if limit is not None and len(problems) > limit:
        yield f"and {len(problems) - limit} more; `all=True` lists them"


def _ches(found: Sequence[tuple[str, float]]) -> Iterator[Part]:
    middle = statistics.median(value for _, value in found)
    highest = ", ".join(f"{where} ({value:.3g})" for where, value in found[:NUM_ALIKE])
    yield f"CHES of {len(found):,} pairs, similarity of both sides to the model: median {middle:.3g}; training may make"
    yield f"both sides less likely where it is highest: {highest}"


def _lengths(report: CheckReport) -> Iterator[Part]:
    limits = report.limits
    rows = [
        (name, f"{facts['num']:,}", f"{facts['mean']:.1f}", f"{facts['p95']:.0f}", f"{facts['max']:,}")
        for name, facts in report.statistics.items()
    ]
    yield Table(("tokens", "number", "mean", "p95", "max"), rows)
    what = "conversations are" if report.kind == "demonstrations" else "responses are"
    why = "the most the model takes" if limits.max_length == limits.context_length else "`max_length=...`"
    yield f"{report.num_cut} {what} cut at {limits.max_length} tokens ({why})"
    yield f"{report.saved_by_sharing:.1%} of all tokens need not be run, as shared prefixes are run once"

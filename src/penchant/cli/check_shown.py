"""What `penchant check` shows: the rows by verdict, their lengths, and some of them as the model reads them."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from penchant.cli.hints import typed
from penchant.cli.tables import print_table
from penchant.data import CODES
from penchant.data.fields import in_words
from penchant.tokens.shown import Part, parts_of
from penchant.training.checking import CheckReport
from penchant.wording import sanitise

__all__ = ["show_report"]

STYLES = {"context": "dim", "scored": "green", "end": "black on green", "left_out": "italic"}


def show_report(console: Console, report: CheckReport, num_problems: int | None, num_examples: int, ids: bool) -> None:
    """Print the report. num_problems: at most so many of them, or all. ids: show token ids beside the texts."""
    _show_rows(console, report, num_problems)
    if listed := in_words(report.unread):
        _say(console, listed, "yellow")
    _show_lengths(console, report)
    _show_remarks(console, report)
    for item in report.items[:num_examples]:
        console.print()
        _say(console, str(item.origin), "bold")
        for part in parts_of(item, report.encoder):
            _show_part(console, part, ids)


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(sanitise(text), style=style, markup=False, soft_wrap=True)


def _show_rows(console: Console, report: CheckReport, limit: int | None) -> None:
    num_rows = sum(report.rows.values())
    rows = "1 row" if num_rows == 1 else f"{num_rows:,} rows"
    _say(console, f"{rows} of {report.kind}, format {report.format}; {report.num_bad} cannot be used", "bold")
    for code, number in sorted(report.rows.items(), key=lambda item: (item[0] != "keep", -item[1])):
        _say(console, f"  {number:>7} {code:<22} {CODES[code].severity:<8} {CODES[code].meaning}")
    problems = sorted(report.problems, key=lambda verdict: verdict.severity != "error")
    for verdict in problems[:limit]:
        _say(console, f"{verdict.severity}: {typed(str(verdict))}", "red" if verdict.severity == "error" else None)
    if limit is not None and len(problems) > limit:
        _say(console, f"and {len(problems) - limit} more; --all lists them")


def _show_lengths(console: Console, report: CheckReport) -> None:
    console.print()
    limits = report.limits
    rows = [
        (name, f"{facts['num']:,}", f"{facts['mean']:.1f}", f"{facts['p95']:.0f}", f"{facts['max']:,}")
        for name, facts in report.statistics.items()
    ]
    print_table(console, ("tokens", "number", "mean", "p95", "max"), rows)
    what = "conversations are" if report.kind == "demonstrations" else "responses are"
    why = "the most the model takes" if limits.max_length == limits.context_length else "--max-length"
    _say(console, f"{report.num_cut} {what} cut at {limits.max_length} tokens ({why})")
    _say(console, f"{report.saved_by_sharing:.1%} of all tokens need not be run, as shared prefixes are run once")


def _show_remarks(console: Console, report: CheckReport) -> None:
    for remark in report.remarks:
        many = f"{remark.count} sequences " if remark.count else ""
        where = f" (first at {remark.first})" if remark.first else ""
        _say(console, f"note: {many}{remark.text}{where}", "yellow")


def _show_part(console: Console, part: Part, ids: bool) -> None:
    """One part under its name; what is scored is coloured, or set in [[ ]] where there is no colour."""
    num = len(part.ids)
    mask = {num: "all scored", 0: "not scored"}.get(part.num_scored, f"{part.num_scored} scored")
    line = Text(f"{part.name:>8}  ", style="bold") + Text(f"{num} tokens, {mask}", style="dim")
    console.print(line, soft_wrap=True)
    body, plain = Text(), console.is_terminal or len(part.runs) == 1
    for run in part.runs:
        text = Text.assemble(*((span.text, STYLES[span.kind]) for span in run))
        body += text if plain or run[0].kind == "context" else Text("[[") + text + Text("]]")
    console.print(body, soft_wrap=True)
    if ids:
        console.print(" ".join(map(str, part.ids)), style="dim", soft_wrap=True, markup=False)

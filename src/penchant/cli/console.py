"""What a command shows: progress bars on a terminal, plain lines elsewhere; errors as one sentence."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from penchant.cli.hints import typed

__all__ = ["Reporter", "sanitise"]

SHOWN = {
    "loss": "loss {:.4f}",
    "rewards/margins": "margin {:+.3f}",
    "rewards/accuracies": "accuracy {:.2f}",
    "tokens_per_second": "{:.0f} tokens/s",
}
SHARE_BETWEEN_LINES, SECONDS_BETWEEN_LINES = 0.05, 2.0
"""Where there is no terminal, a line is written when so much more is done, and not more often than this."""
JOINERS = "\u200c\u200d"
"""Unprintable by the letter, but Persian, Hindi and emoji are spelt with them."""


def sanitise(text: str) -> str:
    """Foreign text made safe to show: what could move the cursor, colour or reverse what follows becomes U+FFFD.

    That is every control character but newline and tab, among them the escape of ANSI sequences, and the marks that
    reorder text (bidirectional overrides and isolates). Letters and spaces of every script stay as they are.
    """
    return "".join(c if _is_safe(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _is_safe(c: str) -> bool:
    return c.isprintable() or c in "\n\t" or c in JOINERS or unicodedata.category(c) == "Zs"


class _Facts(ProgressColumn):
    """Numbers beside a bar; they alone are cut where the terminal is narrow, so the step and the time left stay."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["facts"], no_wrap=True, overflow="ellipsis")


class Reporter:
    """Progress on standard error, so that standard output stays for results.

    Results are printed when it has ended: bars that are still live would be drawn over them.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, tuple[int, float]] = {}
        self._last_line: dict[str, tuple[float, float]] = {}
        self._done: dict[str, int] = {}

    def __enter__(self) -> Reporter:
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24 if self.console.width >= 110 else 8),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                _Facts(table_column=Column(no_wrap=False)),
            )
            self._bar = Progress(*columns, console=self.console)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line of plain text, arguments as options; control characters of foreign text never reach the terminal."""
        self.console.print(escape(sanitise(typed(text))), soft_wrap=True)

    def progress(self, what: str, done: int, total: int, facts: Mapping[str, float]) -> None:
        """Show how far `what` is; where less is done than before, it began again and gets a bar of its own."""
        if total == 0:
            return
        if done < self._done.get(what, 0):
            for known in (self._tasks, self._began, self._last_line):
                known.pop(what, None)
        self._done[what] = done
        shown = "  ".join(form.format(facts[name]) for name, form in SHOWN.items() if name in facts)
        if self._bar is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=total, facts="")
            self._bar.update(self._tasks[what], completed=done, total=total, facts=shown)
            return
        now = time.monotonic()
        first, began = self._began.setdefault(what, (done, now))
        share, written = self._last_line.get(what, (-1.0, 0.0))
        is_due = done / total - share >= SHARE_BETWEEN_LINES and now - written >= SECONDS_BETWEEN_LINES
        if is_due or (done == total and share < 1):
            self._last_line[what] = done / total, now
            left = (
                f"  about {(now - began) * (total - done) / (done - first):.0f} s left" if first < done < total else ""
            )
            print(f"{what} {done}/{total}  {shown}{left}".rstrip(), file=sys.stderr, flush=True)

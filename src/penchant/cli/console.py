"""What a command shows of its progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Column
from rich.text import Text

from penchant.cli.hints import typed
from penchant.progress import Lines, facts_in_words
from penchant.wording import MAX_MESSAGE, in_short, sanitise

__all__ = ["Reporter"]


class _Facts(bars.ProgressColumn):
    """Numbers beside a bar; they alone are cut where the terminal is narrow, so the step and the time left stay."""

    def render(self, task: bars.Task) -> Text:
        return Text(task.fields["facts"], no_wrap=True, overflow="ellipsis")


class Reporter:
    """Progress on standard error, so that standard output stays for results.

    Results are printed when it has ended: bars that are still live would be drawn over them.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._lines = Lines()
        self._bar: bars.Progress | None = None
        self._tasks: dict[str, bars.TaskID] = {}
        self._done: dict[str, int] = {}

    def __enter__(self) -> Reporter:
        if self.console.is_terminal:
            columns = (
                bars.TextColumn("{task.description}"),
                bars.BarColumn(bar_width=24 if self.console.width >= 110 else 8),
                bars.MofNCompleteColumn(),
                bars.TimeRemainingColumn(),
                _Facts(table_column=Column(no_wrap=False)),
            )
            self._bar = bars.Progress(*columns, console=self.console)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, *lines: str) -> None:
        """Lines of plain text, arguments as options; control characters of foreign text never reach the terminal."""
        for line in lines:
            self.console.print(escape(in_short(sanitise(typed(line)), MAX_MESSAGE)), soft_wrap=True)

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        """Show how far `what` is; where less is done than before, it began again and gets a bar of its own."""
        if self._bar is None:
            self._lines.progress(what, done, total, facts)
        elif total != 0:
            if done < self._done.get(what, 0):
                self._tasks.pop(what, None)
            self._done[what] = done
            if what not in self._tasks:
                self._tasks[what] = self._bar.add_task(what, total=total, facts="")
            self._bar.update(self._tasks[what], completed=done, total=total, facts=facts_in_words(facts))

"""Answers of a chat on the screen: written while they come, or two beside each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from penchant.wording import sanitise

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.models.conversation import Conversation

__all__ = ["show_answer"]

SIDE_BY_SIDE = 80
"""Columns from which two answers stand beside each other."""


def show_answer(talk: Conversation, text: str, console: Console, notes: Console, say: Callable[[str], None]) -> None:
    """Show the model's answer while it is written; two answers when both are there."""
    is_watched = sys.stdin.isatty() and notes.is_terminal
    with notes.status("thinking") if is_watched else nullcontext() as status:
        if talk.reference is not None:
            answers = talk.reply(text, say)
        else:
            live = _LiveAnswer(console, status.stop if status else lambda: None)
            try:
                talk.reply(text, say, live.add)
            except BaseException:
                if live.is_begun:
                    live.end()
                raise
            live.end()
            return
    _show(console, answers)


class _LiveAnswer:
    """An answer on the screen while it is written, without the blanks around it. begin: called before it is there."""

    def __init__(self, console: Console, begin: Callable[[], None]) -> None:
        self.console, self.begin = console, begin
        self.is_begun, self.blanks = False, ""

    def add(self, piece: str) -> None:
        text = self.blanks + piece if self.is_begun else piece.lstrip()
        shown = text.rstrip()
        self.blanks = text[len(shown) :]
        if shown:
            if not self.is_begun:
                self.is_begun = True
                self.begin()
            self.console.out(sanitise(shown), end="", highlight=False)

    def end(self) -> None:
        """Close the line; blanks at the end are left out."""
        self.console.out("", highlight=False)


def _show(console: Console, answers: dict[str, str]) -> None:
    """Both answers, beside each other where there is room."""
    from rich.table import Table
    from rich.text import Text

    safe = {who: Text(sanitise(text)) for who, text in answers.items()}
    if console.is_terminal and console.width >= SIDE_BY_SIDE:
        table = Table(*safe, expand=True, show_edge=False)
        for column in table.columns:
            column.ratio = 1
        table.add_row(*safe.values())
        console.print(table)
    else:
        for who, text in safe.items():
            console.print(Text(f"{who}: ", style="bold") + text, soft_wrap=not console.is_terminal)

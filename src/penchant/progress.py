"""Where progress goes: a terminal, a notebook or a test each bring an object with `say` and `progress`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Bars", "Reporter", "Silent", "reporter_of"]


class Reporter(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """One line of text for a person."""

    def progress(self, what: str, done: int, total: int, facts: Mapping[str, float]) -> None:
        """How far `what` is, with numbers to show beside it."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        return

    def progress(self, what: str, done: int, total: int, facts: Mapping[str, float]) -> None:
        return


class Bars:
    """Bars of tqdm, in a notebook as widgets where it has them; lines of text on standard error."""

    SHOWN = ("loss", "rewards/margins", "rewards/accuracies")

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def say(self, text: str) -> None:
        _tqdm().write(text, file=sys.stderr)

    def progress(self, what: str, done: int, total: int, facts: Mapping[str, float]) -> None:
        if total == 0:
            return
        bar = self._bars.get(what)
        if bar is None:
            bar = self._bars[what] = _tqdm()(desc=what, total=total, initial=done)
        bar.total = total
        bar.set_postfix({name.rpartition("/")[2]: facts[name] for name in self.SHOWN if name in facts}, refresh=False)
        bar.update(done - bar.n)
        if done >= total:
            bar.close()
            del self._bars[what]


def reporter_of(progress: bool | Reporter) -> Reporter:
    """True: bars and lines on standard error; False: nothing; a Reporter: itself."""
    if isinstance(progress, bool):
        return Bars() if progress else Silent()
    return progress


def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook lacks its widgets; bars of text do
        from tqdm.auto import tqdm
    return tqdm

"""Progress reporting: a terminal, a notebook or a test provides an object with `say` and `progress`."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from typing import Any, Protocol

from penchant.errors import ConfigError
from penchant.process import num_processes
from penchant.wording import MAX_MESSAGE, in_short, sanitise

__all__ = ["Bars", "Lines", "Reporter", "Silent", "announce_torch", "counted", "facts_in_words", "reporter_of"]

SHOWN = {
    "loss": "loss {:.4f}",
    "rewards/margins": "margin {:+.3f}",
    "rewards/accuracies": "accuracy {:.2f}",
    "reward": "score {:+.3f}",
    "kl": "KL {:.2f}",
    "tokens_per_second": "{:.0f} tokens/s",
}
SHARE_BETWEEN_LINES, SECONDS_BETWEEN_LINES = 0.05, 2.0
"""A line is written after this much more progress, if the total is known, and at most this often."""


class Reporter(Protocol):
    """Receives messages and progress."""

    def say(self, text: str) -> None:
        """Show one line of text."""

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        """Show the progress of `what`, with numbers beside it. total: None until it is known."""


def announce_torch() -> None:
    """Report when PyTorch is about to be imported, which takes a command some seconds."""
    if "torch" not in sys.modules and num_processes() == 1:
        sys.meta_path.insert(0, _TorchIsNext())


class _TorchIsNext(MetaPathFinder):
    """An import hook that finds nothing, but observes imports."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == "torch":
            sys.meta_path.remove(self)
            Lines().say("loading PyTorch")


class Silent:
    """Reports nothing."""

    def say(self, text: str) -> None:
        return

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        return


class Lines:
    """Lines of plain text on standard error, few even if called often."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[int, float]] = {}
        self._written: dict[str, tuple[float, float]] = {}
        self._done: dict[str, int] = {}

    def say(self, text: str) -> None:
        print(in_short(sanitise(text), MAX_MESSAGE), file=sys.stderr, flush=True)

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        """If less is done than before, it restarted and is shown again."""
        if total == 0:
            return
        if done < self._done.get(what, 0):
            self._began.pop(what, None)
            self._written.pop(what, None)
        self._done[what] = done
        now = time.monotonic()
        first, began = self._began.setdefault(what, (done, now))
        share, written = self._written.get(what, (-1.0, 0.0))
        if total is None:
            if now - max(began, written) >= SECONDS_BETWEEN_LINES:
                self._written[what] = -1.0, now
                self.say(f"{what} {done:,}  {facts_in_words(facts)}".rstrip())
            return
        is_due = done / total - share >= SHARE_BETWEEN_LINES and now - written >= SECONDS_BETWEEN_LINES
        if is_due or (done == total and share < 1):
            self._written[what] = done / total, now
            is_known = first < done < total
            left = f"  about {(now - began) * (total - done) / (done - first):.0f} s left" if is_known else ""
            self.say(f"{what} {done}/{total}  {facts_in_words(facts)}{left}".rstrip())


class Bars:
    """tqdm bars, as widgets in notebooks that support them; lines of text on standard error."""

    SHOWN = ("loss", "rewards/margins", "rewards/accuracies", "reward", "kl")

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def say(self, text: str) -> None:
        _tqdm().write(in_short(text, MAX_MESSAGE), file=sys.stderr)

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        if total == 0:
            return
        bar = self._bars.get(what)
        if bar is None:
            bar = self._bars[what] = _tqdm()(desc=what, total=total, initial=done)
        bar.total = total
        bar.set_postfix({name.rpartition("/")[2]: facts[name] for name in self.SHOWN if name in facts}, refresh=False)
        bar.update(done - bar.n)
        if total is not None and done >= total:
            bar.close()
            del self._bars[what]


def counted(reporter: Reporter, what: str) -> Callable[[int, int], None]:
    """A function of done and total counts that shows the progress of `what`."""
    return lambda done, total: reporter.progress(what, done, total, {})


def facts_in_words(facts: Mapping[str, float]) -> str:
    """The numbers shown beside progress, as far as present."""
    return "  ".join(form.format(facts[name]) for name, form in SHOWN.items() if name in facts)


def reporter_of(progress: bool | Reporter) -> Reporter:
    """True: bars and lines on standard error; False: nothing; a Reporter: itself. Raises ConfigError for others."""
    if isinstance(progress, bool):
        return Bars() if progress else Silent()
    if not (hasattr(progress, "say") and hasattr(progress, "progress")):
        raise ConfigError(f"progress must be True, False or an object with `say` and `progress`, got {progress!r}")
    return progress


def _tqdm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about missing notebook widgets; text bars work too
        from tqdm.auto import tqdm
    return tqdm

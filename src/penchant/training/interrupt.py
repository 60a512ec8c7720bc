"""Handle Ctrl-C and SIGTERM: finish and save a step first, stop anything else; a second signal stops at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from penchant import ranks

__all__ = ["Interrupted", "StopRequest", "listening", "stopping"]


class Interrupted(BaseException):
    """The run was asked to stop; not an Exception, so that nothing swallows it.

    An empty message is filled in by a caller that knows how to resume. at_once: a second request, so nothing is saved.
    """

    def __init__(self, signal_number: int, message: str = "", *, at_once: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.at_once = 128 + signal_number, at_once


class StopRequest:
    """The request of a signal. Inside `finishing` it waits for the next `check`, elsewhere it interrupts.

    With several ranks it always waits for the next `check`, where all stop if any was asked to.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.waits = self.meets = ranks.size() > 1

    def receive(self, number: int) -> None:
        """Receive a signal."""
        if self.signal_number is not None:
            raise Interrupted(number, at_once=True)
        self.signal_number = number
        if not self.waits:
            raise Interrupted(number)

    def check(self) -> None:
        self.signal_number = next(filter(None, ranks.gather(self.signal_number)), None)
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """A context whose body is completed before a request is checked."""
        before, self.waits = self.waits, True
        try:
            yield
        finally:
            self.waits = before
        if self.meets or not before:
            self.check()


@contextmanager
def listening() -> Iterator[StopRequest]:
    """A context in which SIGINT and SIGTERM make a request; no effect outside the main thread."""
    request = StopRequest()
    with _handled({signal.SIGINT, signal.SIGTERM}, request.receive):
        yield request


@contextmanager
def stopping() -> Iterator[None]:
    """A context in which SIGTERM ends a command like Ctrl-C, running every `finally`; a second one ends at once."""
    with _handled({signal.SIGTERM}, StopRequest().receive):
        yield


@contextmanager
def _handled(numbers: set[signal.Signals], receive: Callable[[int], None]) -> Iterator[None]:
    def on_signal(number: int, _frame: FrameType | None) -> None:
        receive(number)

    try:
        before = {number: signal.signal(number, on_signal) for number in numbers}
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

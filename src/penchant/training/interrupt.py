"""Ctrl-C and SIGTERM ask the loop to save and stop; a second Ctrl-C stops at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "StopRequest", "listening"]


class Interrupted(BaseException):
    """The run was asked to stop and has saved; not an Exception, so that nothing swallows it."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class StopRequest:
    """Set by a signal; `check` raises between two micro-batches."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def check(self) -> None:
        if self.signal_number is not None:
            raise Interrupted(self.signal_number, "stopped")


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Inside, SIGINT and SIGTERM set the request; outside of the main thread nothing is changed."""
    request = StopRequest()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if request.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal_number = number

    try:
        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread
        yield request
        return
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

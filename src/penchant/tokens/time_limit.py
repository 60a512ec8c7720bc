"""A time limit for untrusted code in the main thread, by SIGALRM.

An infinite loop never returns control, so only a signal can end it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["time_limit"]


class _OutOfTime(BaseException):
    """Not an Exception, so that no code inside catches it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError if the body takes longer than `seconds` of wall-clock time.

    In other threads, on Windows, and if the alarm is in use, there is no limit. It takes effect between two bytecode
    instructions: a single long operation is not interrupted.
    """
    if not _is_free():
        yield
        return
    try:
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _OutOfTime:
        raise TimeoutError(f"it takes longer than {seconds:g} seconds") from None
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _is_free() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and hasattr(signal, "SIGALRM") and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise _OutOfTime

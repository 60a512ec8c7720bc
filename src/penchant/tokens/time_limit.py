"""A limit on the time that foreign code may compute, where this process can be woken: in its main thread, by SIGALRM.

A loop that ends never gives nothing back to look at a clock by, so only a signal ends it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["time_limit"]


class _OutOfTime(BaseException):
    """Not an Exception, so that nothing inside swallows it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError where what is inside takes longer than `seconds`, by the clock on the wall.

    In another thread, on Windows, and where somebody else uses the alarm, there is no limit. It takes hold between two
    instructions of Python: a single long operation is waited for.
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

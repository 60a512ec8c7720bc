"""Run one piece of work in a thread while the caller continues."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["Background"]

T = TypeVar("T")


class Background(Generic[T]):
    """One piece of work, started at once. Its exception is raised where its result is asked for.

    The thread ends with the process, so a second Ctrl-C does not wait. `work` must not communicate with other ranks.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self._future: Future[T] = Future()
        Thread(target=self._run, args=(work,), name="penchant background", daemon=True).start()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            found = work()
        except BaseException as error:
            self._future.set_exception(error)
        else:
            self._future.set_result(found)

    def is_done(self) -> bool:
        """Whether the work has ended, with or without success."""
        return self._future.done()

    def wait(self) -> None:
        """Wait until the work has ended; does not raise its exception."""
        self._future.exception()

    def finish(self) -> T:
        """Wait for the result of the work. Raises its exception."""
        return self._future.result()

"""Work that a thread of its own does while its caller goes on, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["Background"]

T = TypeVar("T")


class Background(Generic[T]):
    """One piece of work, which begins at once. What it raises is kept for whoever asks for its result.

    The thread ends with the process, so that a second Ctrl-C waits for nobody. It is of no rank: `work` says nothing to
    other ranks.
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
        """Whether it has come to its end, a good one or not."""
        return self._future.done()

    def wait(self) -> None:
        """Until it has come to its end; raises nothing of it."""
        self._future.exception()

    def finish(self) -> T:
        """What it gave, once it is there. Raises what it raised."""
        return self._future.result()

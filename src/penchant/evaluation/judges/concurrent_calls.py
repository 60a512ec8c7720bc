"""Make several calls at once in threads, yield each result as soon as it is known, and never wait after stopping.

The threads are daemons. Those of concurrent.futures are not: the interpreter joins them before it ends
(`_python_exit` in concurrent/futures/thread.py), and Ctrl-C would wait for a silent server.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["call_concurrently"]

T = TypeVar("T")
R = TypeVar("R")


def call_concurrently(
    call: Callable[[T, threading.Event], R], items: Sequence[T], num_threads: int
) -> Generator[tuple[int, R], None, None]:
    """Yield (place, call(item, stop)) as calls finish; raises the first error after the results before it.

    stop: set once this ends in any way. No item is started after that, and running calls are abandoned.
    """
    stop = threading.Event()
    todo = deque(enumerate(items))
    done: SimpleQueue[tuple[int, Future[R]]] = SimpleQueue()

    def work() -> None:
        while not stop.is_set():
            try:
                place, item = todo.popleft()
            except IndexError:
                return
            future: Future[R] = Future()
            try:
                future.set_result(call(item, stop))
            except BaseException as error:  # is re-raised in the caller's thread
                future.set_exception(error)
            done.put((place, future))

    try:
        for _ in range(min(num_threads, len(items))):
            threading.Thread(target=work, name="call_concurrently", daemon=True).start()
        for _ in items:
            place, future = done.get()
            if future.exception() is not None:
                stop.set()
                yield from _successes(done)
            yield place, future.result()
    finally:
        stop.set()


def _successes(done: SimpleQueue[tuple[int, Future[R]]]) -> Iterator[tuple[int, R]]:
    while not done.empty():
        place, future = done.get()
        if future.exception() is None:
            yield place, future.result()

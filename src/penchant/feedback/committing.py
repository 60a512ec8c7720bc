"""Group commit: changes asked for by many at once are made one after another in one transaction.

Bringing a transaction to the disk takes longer than making a change, and the disk takes twenty changes in the time of
one. So a thread takes all that wait, makes them, commits, and only then tells each that its change is stored.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

from penchant.errors import UserError
from penchant.feedback.batch import Batch
from penchant.feedback.database import Database
from penchant.feedback.records import Refused
from penchant.feedback.state import State

__all__ = ["GroupCommit"]

T = TypeVar("T")
MOST_AT_ONCE = 100


@dataclass(frozen=True)
class _Job(Generic[T]):
    work: "Work[T]"
    key: str | None
    future: Future[T]


Work: TypeAlias = Callable[[Batch], Callable[[], T]]
"""A change. What it returns is called when all of the batch is written and read, and returns the result."""


class GroupCommit:
    """Makes changes in a thread of its own, which begins with the first.

    A change that raises Refused must have written nothing by then; the others of its transaction are stored. Where the
    database cannot be used, nothing of the transaction is stored and each is told so. Any other exception rolls all
    back, and each change is made again in a transaction of its own, so that one which cannot be made stops no other.
    """

    def __init__(self, database: Database, state: State) -> None:
        self._database, self._state = database, state
        self._waiting: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, work: Work[T], key: str | None = None) -> Future[T]:
        """The future has the result once it is committed. key: of the answer that may be recorded."""
        job = _Job(work, key, Future())
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penchant-votes", daemon=True)
                self._thread.start()
            self._waiting.put(job)
        return job.future

    def close(self) -> None:
        """Make what waits, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._waiting.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            jobs = [job]
            try:
                while len(jobs) < MOST_AT_ONCE:
                    following = self._waiting.get_nowait()
                    if following is None:
                        self._waiting.put(None)
                        break
                    jobs.append(following)
            except Empty:
                pass
            if jobs := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._make(jobs)

    def _make(self, jobs: list[_Job[Any]]) -> None:
        try:
            with self._database.write() as connection:
                self._state.sync(connection)
                batch = Batch(connection, self._state, {job.key for job in jobs if job.key}, len(jobs))
                made = [_attempt(job, batch) for job in jobs]
                batch.finish()
                results = [made_one if isinstance(made_one, Refused) else made_one() for made_one in made]
        except BaseException as error:
            self._state.forget()
            for job in jobs:
                if len(jobs) == 1 or isinstance(error, UserError):
                    job.future.set_exception(error)
                else:
                    self._make([job])
            return
        for job, result in zip(jobs, results, strict=True):
            if isinstance(result, Refused):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)


def _attempt(job: _Job[T], batch: Batch) -> Callable[[], T] | Refused:
    try:
        return job.work(batch)
    except Refused as refused:
        return refused

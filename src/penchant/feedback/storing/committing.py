"""Group commit: concurrent changes are made one after another in one transaction.

Syncing a transaction to disk takes longer than making a change, and the disk syncs twenty changes in the time of one.
So a thread takes all waiting changes, makes them in memory (at a `Desk`), writes each kind of row at once, commits, and
only then reports to each caller that its change is stored. A hundred votes are about ten statements.
"""

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any, TypeVarTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, insert, select, update

from penchant.errors import UserError
from penchant.feedback.asking import Board, Desk, Given, Ids, People, Rows, Said
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Annotator, Assignment, Refused, Reply, texts_of
from penchant.feedback.storing.database import Database, new_ids
from penchant.feedback.storing.schema import CHAT, annotators, answers, assignments, read_answer, tasks

__all__ = ["GroupCommit", "Mirror"]

Ts = TypeVarTuple("Ts")
MAX_CHANGES = 100
"""The most changes in one transaction."""

# statements are built once, which halves their cost
SINCE: BindParameter[int] = bindparam("since")
NUMBERS = (tasks.c.changed, annotators.c.changed, assignments.c.changed, answers.c.id)
LAST = select(*(select(func.coalesce(func.max(number), -1)).scalar_subquery() for number in NUMBERS))
TASKS = (
    select(tasks.c.id, tasks.c.gold, tasks.c.uncertainty, tasks.c.origin == CHAT)
    .where(tasks.c.changed > SINCE)
    .order_by(tasks.c.position)
)
ANNOTATORS = select(*(annotators.c[name] for name in Annotator.model_fields), annotators.c.token_hash).where(
    annotators.c.changed > SINCE
)
GIVEN = (
    select(*(assignments.c[name] for name in Given._fields[:9]))
    .where(assignments.c.changed > SINCE, assignments.c.kind != "adjudication")
    .order_by(assignments.c.id)
)
ANSWERS = (
    select(answers.c.assignment_id, *(answers.c[name] for name in ("id", "outcome", "created_at", "seconds")))
    .where(answers.c.id > SINCE)
    .order_by(answers.c.id)
)
BY_KEYS = select(answers).where(answers.c.key.in_(bindparam("some", expanding=True)))
TEXTS = select(tasks.c.id, tasks.c.prompt, tasks.c.a, tasks.c.b).where(
    tasks.c.id.in_(bindparam("some", expanding=True))
)
LEASE = update(assignments).where(assignments.c.id == bindparam("of"))


class Mirror:
    """An in-memory copy of the state needed for asking: read once, then updated incrementally.

    Rows are numbered by their changes (schema.py), so changes of other threads and processes are seen too. It can be
    dropped and reread at any time: only the database is authoritative. One thread uses it, within writing transactions.
    visitors: see `People`.
    """

    def __init__(self, overlap: int, visitors: dict[str, int]) -> None:
        self._overlap, self._visitors = overlap, visitors
        self.forget()

    def forget(self) -> None:
        """Drop all state, because a transaction was rolled back."""
        self.board, self.people = Board(self._overlap), People(self._visitors)
        self._seen = (-1, -1, -1, -1)

    def sync(self, connection: Connection) -> None:
        """Read all changes since the last time."""
        task, annotator, given, answer = self._seen
        self._seen = last = tuple(connection.execute(LAST).one())
        if last[0] > task:
            for row in connection.execute(TASKS, {"since": task}):
                self.board.put_task(*row)
        if last[1] > annotator:
            for *values, token_hash in connection.execute(ANNOTATORS, {"since": annotator}):
                self.people.put(Annotator(**dict(zip(Annotator.model_fields, values, strict=True))), token_hash)
        if last[2] > given:
            for row in connection.execute(GIVEN, {"since": given}):
                self.board.put(Given._make((*row, Said())))
        if last[3] > answer:
            for assignment_id, *values in connection.execute(ANSWERS, {"since": answer}):
                self.board.put_answer(assignment_id, Said(*values))


@dataclass(frozen=True)
class _Job:
    change: Callable[..., Reply[Given]]
    arguments: tuple[Any, ...]
    key: str | None
    future: Future[Reply[Assignment]]


class GroupCommit:
    """Makes changes in its own thread, which starts with the first change.

    A change that raises Refused must have changed nothing; the others of its transaction are stored. If the database
    cannot be used, nothing of the transaction is stored and each caller gets the error. Any other exception rolls all
    back, and each change is made again in its own transaction, so that a failing one does not stop the others.
    """

    def __init__(self, database: Database, config: ProjectConfig, clock: Callable[[], datetime]) -> None:
        self._database, self._config, self._clock = database, config, clock
        self.visitors: dict[str, int] = {}
        self.mirror = Mirror(config.overlap, self.visitors)
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(
        self, change: Callable[[Desk, *Ts], Reply[Given]], *arguments: *Ts, key: str | None = None
    ) -> Future[Reply[Assignment]]:
        """Call a method of `Desk`; the future returns its reply once committed, or raises Refused.

        key: that of an answer to record.
        """
        job = _Job(change, arguments, key, Future())
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="penchant-votes", daemon=True)
                self._thread.start()
            self._waiting.put(job)
        return job.future

    def close(self) -> None:
        """Make all waiting changes, and end the thread."""
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
                while len(jobs) < MAX_CHANGES:
                    following = self._waiting.get_nowait()
                    if following is None:
                        self._waiting.put(None)
                        break
                    jobs.append(following)
            except Empty:
                pass
            if jobs := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._make(jobs)

    def _make(self, jobs: list[_Job]) -> None:
        try:
            with self._database.write() as connection:
                self.mirror.sync(connection)
                desk = self._desk(connection, {job.key for job in jobs if job.key}, len(jobs))
                made = [_attempt(job, desk) for job in jobs]
                for rows in desk.rows:
                    _write(connection, rows)
                replies = _shown(connection, made)
        except BaseException as error:
            self.mirror.forget()
            for job in jobs:
                if len(jobs) == 1 or isinstance(error, UserError):
                    job.future.set_exception(error)
                else:
                    self._make([job])
            return
        for job, reply in zip(jobs, replies, strict=True):
            if isinstance(reply, Refused):
                job.future.set_exception(reply)
            else:
                job.future.set_result(reply)

    def _desk(self, connection: Connection, keys: Collection[str], num: int) -> Desk:
        rows = connection.execute(BY_KEYS, {"some": list(keys)}) if keys else ()
        return Desk(
            self._config,
            self.mirror.board,
            self.mirror.people,
            ids=Ids(new_ids(connection, "assignments", num), new_ids(connection, "answers", num)),
            stored={row.key: read_answer(row) for row in rows},
            clock=self._clock,
        )


def _attempt(job: _Job, desk: Desk) -> Reply[Given] | Refused:
    try:
        return job.change(desk, *job.arguments)
    except Refused as refused:
        return refused


def _write(connection: Connection, rows: Rows) -> None:
    if rows.assignments:
        connection.execute(insert(assignments), rows.assignments)
    if rows.answers:
        connection.execute(insert(answers), rows.answers)
    if rows.leases:
        connection.execute(LEASE, rows.leases)


def _shown(connection: Connection, made: list[Reply[Given] | Refused]) -> list[Reply[Assignment] | Refused]:
    """Add the texts of their pairs to replies."""
    told = [reply for reply in made if isinstance(reply, Reply)]
    wanted = {given.task_id for reply in told for given in (reply.current, reply.then) if given}
    rows = connection.execute(TEXTS, {"some": sorted(wanted)}) if wanted else ()
    texts = {row.id: texts_of(row) for row in rows}

    def pair(given: Given | None) -> Assignment | None:
        if given is None:
            return None
        shown_first = given.shown_first or "a"  # an imported answer may not say
        return Assignment(id=given.id, task_id=given.task_id, shown_first=shown_first, **texts[given.task_id])

    return [
        Reply(reply.answer, pair(reply.current), pair(reply.then), reply.progress)
        if isinstance(reply, Reply)
        else reply
        for reply in made
    ]

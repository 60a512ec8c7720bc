"""The store of votes: every call is one transaction, and an answer is acknowledged only once it is on the disk."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Literal, Self

from penchant.data.records import Comparison
from penchant.feedback.asking import Desk, hashed
from penchant.feedback.project import Project
from penchant.feedback.records import Annotator, Answer, Assignment, Invitation, NewAnswer, Progress, Role
from penchant.feedback.storing import answers, overview, people, tasks
from penchant.feedback.storing.answers import Answered
from penchant.feedback.storing.committing import GroupCommit
from penchant.feedback.storing.database import Database
from penchant.feedback.storing.migrations import upgrade
from penchant.feedback.storing.overview import Counts, Disagreement
from penchant.feedback.storing.tasks import TasksAdded

__all__ = ["Store"]


utc_now = partial(datetime.now, UTC)


class Store:
    """What people are asked and what they answered, in SQLite or PostgreSQL; any number of threads may use one.

    submit: have a method of `Desk` called; the future has its `Reply` once all of it is on the disk, or raises Refused.

    Methods raise Refused (a UserError with a `code`) for what a person may not do, and ConfigError or DataError for a
    database that cannot be used.
    """

    def __init__(self, project: Project, database: Database, clock: Callable[[], datetime]) -> None:
        self.project = project
        self._config = project.config
        self._database = database
        self._now = clock
        self._group = GroupCommit(database, project.config, clock)
        self.submit = self._group.submit

    @classmethod
    def open(cls, project: Project, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """The project's store, its schema brought up to date.

        Raises DataError for a database written by a newer Penchant, or one that is none; ConfigError where it cannot
        be reached.
        """
        database = Database(project.url)
        try:
            with database.write() as connection:
                upgrade(connection, database.name)
        except BaseException:
            database.close()
            raise
        return cls(project, database, clock)

    @classmethod
    def of(cls, folder: str | os.PathLike[str], *, create: bool = False) -> Self:
        """The store of the project in a folder; `create`: also where there is none yet, or its answers are gone.

        Raises ConfigError where the folder is no project, DataError where the file of its answers is missing: an empty
        one in its place would hide that. And what `open` raises.
        """
        project = Project.open(folder, create=create)
        if not create:
            project.require_answers()
        return cls.open(project)

    def close(self) -> None:
        """Store what is under way and close every connection."""
        self._group.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Tasks

    def add_tasks(
        self, comparisons: Iterable[Comparison], *, origin: str, gold: bool = False, all_or_none: bool = False
    ) -> TasksAdded:
        """Add comparisons to ask; none where an exception is raised on the way.

        The comparison's id is the task's. One that is answered brings its answer too, as its annotator's; with `gold`
        its outcome is the right answer, against which annotators are checked. Adding the same twice changes nothing.
        What a person said to the model, under the origin `schema.CHAT`, is given to nobody else where overlap is 1.
        all_or_none: where one is refused, none is added.
        """
        with self._database.write() as connection:
            added = tasks.add_tasks(connection, comparisons, origin=origin, gold=gold, now=self._now())
            if all_or_none and added.refused:
                connection.rollback()
                return TasksAdded(added=0, known=0, refused=added.refused)
            return added

    def set_uncertainty(self, values: Mapping[str, float]) -> int:
        """How uncertain the answers to tasks are, by id; returns how many of the ids are tasks.

        Any scale will do where every task has a value; beside tasks without one, which count by the disagreement of
        their answers so far, use 0 to 1. Raises DataError for a value that is not finite.
        """
        with self._database.write() as connection:
            return tasks.set_uncertainty(connection, values)

    # People

    def invite(self, name: str, role: Role = "annotator") -> Invitation:
        """A person, new or known by name, with a new token; an older token of theirs stops working.

        Raises ConfigError for a name that is empty, longer than 100 characters or not printable.
        """
        with self._database.write() as connection:
            return people.invite(connection, name, role, self._now())

    def let_in(self, token: str, annotator_id: int) -> None:
        """Take this token as one of that person, for as long as the store is open; it is kept in memory alone."""
        self._group.visitors[hashed(token)] = annotator_id

    def annotator_by_token(self, token: str) -> Annotator | None:
        """Whose token it is; None for no one's, and for a disabled person's."""
        visitor = self._group.visitors.get(hashed(token))
        with self._database.read() as connection:
            return people.enabled_annotator(connection, token if visitor is None else visitor)

    def annotators(self) -> list[Annotator]:
        """Everybody, also who answered elsewhere and was imported."""
        with self._database.read() as connection:
            return people.all_annotators(connection)

    def disable(self, annotator_id: int) -> None:
        """Let a person answer no more; their answers stay, their open pairs go to others."""
        with self._database.write() as connection:
            people.disable(connection, annotator_id, self._now())

    # Asking and answering

    def prepare(self) -> None:
        """Read what is needed to give pairs, so that nobody waits for it later."""
        self.submit(Desk.wake).result()

    def next_assignment(
        self, annotator_id: int, *, seed: int | None = None, ahead: Literal[0, 1] = 0
    ) -> Assignment | None:
        """The open assignment of this person if there is one, else a new one; None: nothing is left for them.

        ahead: 1 for the one after the current one, to fetch it before it is needed. seed: of what is drawn.
        """
        return self.submit(Desk.next_pair, annotator_id, ahead, seed).result().current

    def assignment(self, assignment_id: int, annotator_id: int) -> Assignment | None:
        """A person's own assignment, open or not; None for another's."""
        with self._database.read() as connection:
            return answers.own_assignment(connection, assignment_id, annotator_id)

    def record(self, answer: NewAnswer) -> Answer:
        """Store an answer; when this returns, it is on the disk.

        The same answer under the same key is stored once and returned again. On an assignment that is answered
        already, the new answer supersedes the current one. A skip gives the slot to others.
        """
        recorded = self.submit(Desk.record, answer, key=answer.key).result().answer
        assert recorded is not None, "what is recorded is in the reply"
        return recorded

    def undo(self, annotator_id: int, key: str) -> Answer | None:
        """Withdraw that person's latest current answer, so that its pair is open again; None where there is none."""
        return self.submit(Desk.undo, annotator_id, key, key=key).result().answer

    def adjudicate(
        self,
        task_id: str,
        annotator_id: int,
        *,
        key: str,
        outcome: Literal["a", "b", "tie", "both_bad"],
        strength: int | None = None,
        reasons: tuple[str, ...] = (),
        comment: str = "",
        seconds: float = 0.0,
    ) -> Answer:
        """Store an admin's verdict on a task whose answers differ; it supersedes an earlier verdict."""
        new = {"annotator_id": annotator_id, "key": key, "outcome": outcome, "strength": strength}
        new |= {"reasons": reasons, "comment": comment, "seconds": seconds}
        with self._database.write() as connection:
            return answers.adjudicate(connection, self._config, task_id, new, self._now())

    # Reading back

    def history(self, annotator_id: int, limit: int = 50, before: int | None = None) -> list[Answered]:
        """A person's own current answers, newest first; `before`: the answer id at which the page before ended."""
        with self._database.read() as connection:
            return answers.history(connection, annotator_id, limit, before)

    def progress(self, annotator_id: int | None = None) -> Progress:
        """Of one person, as they may know it, or of the project."""
        if annotator_id is None:
            with self._database.read() as connection:
                return overview.progress(connection, self._config)
        own = self.submit(Desk.progress, annotator_id).result().progress
        assert own is not None, "the progress that was asked for is in the reply"
        return own

    def comparisons(self, *, current: bool = True) -> Iterator[Comparison]:
        """Every current answer as a Comparison whose id is the task's; `current=False`: superseded ones too.

        meta is the task's own, and under "answer": key, kind, chosen_by, probability, seconds, flags, reasons, comment
        and, for a gold task, gold (the right answer).
        """
        return overview.comparisons(self._database, current=current)

    def disagreements(self) -> list[Disagreement]:
        """Tasks whose current main answers differ, with the answers and the verdict if there is one."""
        with self._database.read() as connection:
            return overview.disagreements(connection)

    def counts(self) -> Counts:
        """What is in the store."""
        with self._database.read() as connection:
            return overview.counts(connection)

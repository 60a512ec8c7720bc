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
from penchant.feedback.storing import overview, people, tasks, verdicts_and_history
from penchant.feedback.storing.committing import GroupCommit
from penchant.feedback.storing.database import Database
from penchant.feedback.storing.migrations import upgrade
from penchant.feedback.storing.overview import Counts, Disagreement
from penchant.feedback.storing.tasks import TasksAdded
from penchant.feedback.storing.verdicts_and_history import Answered

__all__ = ["Store"]


utc_now = partial(datetime.now, UTC)


class Store:
    """Tasks and answers in SQLite or PostgreSQL; thread-safe.

    submit: call a method of `Desk`; the future returns its `Reply` once it is on disk, or raises Refused.

    Methods raise Refused (a UserError with a `code`) for an action that the person may not take, and ConfigError or
    DataError for a database that cannot be used.
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
        """Open the project's store, upgrading its schema.

        Raises DataError for a newer version's database, or another kind of file; ConfigError if it cannot
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
        """Open the store of the project in a folder; `create`: also if there is none, or its answers are missing.

        Raises ConfigError if the folder is no project, DataError if the file of its answers is missing: creating an
        empty one would hide the loss. Also raises the errors of `open`.
        """
        project = Project.open(folder, create=create)
        if not create:
            project.require_answers()
        return cls.open(project)

    def close(self) -> None:
        """Store pending changes and close every connection."""
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
        """Add comparisons as tasks; none if an exception is raised.

        The comparison's id is the task's. An answered one also adds its answer, under its annotator; with `gold` its
        outcome is the right answer, for checking annotators. Adding the same twice changes nothing. With an overlap of
        1, chat tasks, of the origin `schema.CHAT`, are given to nobody else.
        all_or_none: if one is refused, none is added.
        """
        with self._database.write() as connection:
            added = tasks.add_tasks(connection, comparisons, origin=origin, gold=gold, now=self._now())
            if all_or_none and added.refused:
                connection.rollback()
                return TasksAdded(added=0, known=0, refused=added.refused)
            return added

    def set_uncertainty(self, values: Mapping[str, float]) -> int:
        """Set the uncertainty of tasks, by id; returns how many of the ids are tasks.

        Any scale works if every task has a value; beside tasks without one, which use the disagreement of their answers
        so far, use 0 to 1. Raises DataError for a value that is not finite.
        """
        with self._database.write() as connection:
            return tasks.set_uncertainty(connection, values)

    # People

    def invite(self, name: str, role: Role = "annotator") -> Invitation:
        """Give a person, new or known by name, a new token; their old one stops working.

        Raises ConfigError for a name that is empty, longer than 100 characters or not printable.
        """
        with self._database.write() as connection:
            return people.invite(connection, name, role, self._now())

    def let_in(self, token: str, annotator_id: int) -> None:
        """Accept this token for a person while the store is open; it is kept only in memory."""
        self._group.visitors[hashed(token)] = annotator_id

    def annotator_by_token(self, token: str) -> Annotator | None:
        """The owner of a token; None for an unknown token, and for a disabled person's."""
        visitor = self._group.visitors.get(hashed(token))
        with self._database.read() as connection:
            return people.enabled_annotator(connection, token if visitor is None else visitor)

    def annotators(self) -> list[Annotator]:
        """All annotators, including those of imported answers."""
        with self._database.read() as connection:
            return people.all_annotators(connection)

    def disable(self, annotator_id: int) -> None:
        """Disable a person; their answers stay, their open pairs go to others."""
        with self._database.write() as connection:
            people.disable(connection, annotator_id, self._now())

    # Asking and answering

    def prepare(self) -> None:
        """Load the state for assigning pairs, so that nobody waits for it later."""
        self.submit(Desk.wake).result()

    def next_assignment(
        self, annotator_id: int, *, seed: int | None = None, ahead: Literal[0, 1] = 0
    ) -> Assignment | None:
        """The person's open assignment, else a new one; None if nothing is left for them.

        ahead: 1 for the assignment after the current one, to prefetch it. seed: seeds the draw.
        """
        return self.submit(Desk.next_pair, annotator_id, ahead, seed).result().current

    def assignment(self, assignment_id: int, annotator_id: int) -> Assignment | None:
        """A person's own assignment, open or not; None for another's."""
        with self._database.read() as connection:
            return verdicts_and_history.own_assignment(connection, assignment_id, annotator_id)

    def record(self, answer: NewAnswer) -> Answer:
        """Store an answer; when this returns, it is on disk.

        The same answer under the same key is stored once and returned again. On an assignment that is already answered
        the new answer supersedes the current one. A skip releases the slot to others.
        """
        recorded = self.submit(Desk.record, answer, key=answer.key).result().answer
        assert recorded is not None, "what is recorded is in the reply"
        return recorded

    def undo(self, annotator_id: int, key: str) -> Answer | None:
        """Withdraw that person's latest current answer, so that its pair is open again; None if there is none."""
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
        """Store an admin's verdict on a task with differing answers; it supersedes an earlier verdict."""
        new = {"annotator_id": annotator_id, "key": key, "outcome": outcome, "strength": strength}
        new |= {"reasons": reasons, "comment": comment, "seconds": seconds}
        with self._database.write() as connection:
            return verdicts_and_history.adjudicate(connection, self._config, task_id, new, self._now())

    # Reading back

    def history(self, annotator_id: int, limit: int = 50, before: int | None = None) -> list[Answered]:
        """A person's own current answers, newest first; `before`: the last answer id of the previous page."""
        with self._database.read() as connection:
            return verdicts_and_history.history(connection, annotator_id, limit, before)

    def progress(self, annotator_id: int | None = None) -> Progress:
        """The progress of one person, as shown to them, or of the project."""
        if annotator_id is None:
            with self._database.read() as connection:
                return overview.progress(connection, self._config)
        own = self.submit(Desk.progress, annotator_id).result().progress
        assert own is not None, "the progress that was asked for is in the reply"
        return own

    def comparisons(self, *, current: bool = True) -> Iterator[Comparison]:
        """Yield every current answer as a Comparison with the task's id; `current=False`: superseded ones too.

        meta is the task's own, and under "answer": key, kind, chosen_by, probability, seconds, flags, reasons, comment
        and, for a gold task, gold (the right answer).
        """
        return overview.comparisons(self._database, current=current)

    def disagreements(self) -> list[Disagreement]:
        """Tasks with differing current main answers, the answers, and the verdict if there is one."""
        with self._database.read() as connection:
            return overview.disagreements(connection)

    def counts(self) -> Counts:
        """The counts of the store's content."""
        with self._database.read() as connection:
            return overview.counts(connection)

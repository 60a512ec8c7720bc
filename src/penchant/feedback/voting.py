"""What people do with their pairs: each is a change of a group commit, whose future is done when it is stored."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

from penchant.feedback import answers, leases
from penchant.feedback.batch import Batch
from penchant.feedback.board import Given
from penchant.feedback.committing import GroupCommit
from penchant.feedback.database import Database
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Answer, Assignment, NewAnswer, Progress, Side, Turn, Voted
from penchant.feedback.remaining import about_left
from penchant.feedback.state import State, Who

__all__ = ["Voting"]


class Voting:
    """Of one project; the futures may raise Refused."""

    def __init__(self, config: ProjectConfig, database: Database, clock: Callable[[], datetime]) -> None:
        self._config, self._now = config, clock
        self.state = State(config.overlap)
        self.group = GroupCommit(database, self.state)

    def nothing(self) -> Future[None]:
        """Only read what is needed to give pairs."""
        return self.group.submit(lambda batch: lambda: None)

    def next(self, annotator_id: int, ahead: int, seed: int | None) -> Future[Assignment | None]:
        """Open pair number `ahead` of this person, or a new one."""

        def work(batch: Batch) -> Callable[[], Assignment | None]:
            given = self._next(batch, annotator_id, ahead, seed)
            return lambda: given and batch.shown(given)

        return self.group.submit(work)

    def turn(self, who: Who) -> Future[Turn]:
        """What this person is asked now, and the pair after it."""

        def work(batch: Batch) -> Callable[[], Turn]:
            annotator_id = batch.state.find(who).id
            current = self._next(batch, annotator_id, 0)
            then = self._next(batch, annotator_id, 1) if current else None
            progress = self._progress(batch, annotator_id)
            return lambda: Turn(
                current=current and batch.shown(current), then=then and batch.shown(then), progress=progress
            )

        return self.group.submit(work)

    def record(self, answer: NewAnswer) -> Future[Answer]:
        """Store an answer."""

        def work(batch: Batch) -> Callable[[], Answer]:
            stored = answers.record(batch, self._config, answer, self._now())
            return lambda: stored

        return self.group.submit(work, answer.key)

    def vote(self, who: Who, key: str, assignment_id: int, answer: Callable[[int, Side], NewAnswer]) -> Future[Voted]:
        """Store an answer and give a pair more; `answer` is called with the annotator's id and the side shown first."""

        def work(batch: Batch) -> Callable[[], Voted]:
            annotator_id = batch.state.find(who).id
            given = batch.board.assignment(assignment_id, annotator_id)
            new = answer(annotator_id, (given and given.shown_first) or "a")
            stored = answers.record(batch, self._config, new, self._now())
            then = self._next(batch, annotator_id, 1)
            progress = self._progress(batch, annotator_id)
            return lambda: Voted(answer=stored, then=then and batch.shown(then), progress=progress)

        return self.group.submit(work, key)

    def undo(self, annotator_id: int, key: str) -> Future[Answer | None]:
        """Withdraw that person's latest current answer."""

        def work(batch: Batch) -> Callable[[], Answer | None]:
            withdrawn = answers.undo(batch, annotator_id, key, self._now())
            return lambda: withdrawn

        return self.group.submit(work, key)

    def progress(self, annotator_id: int) -> Future[Progress]:
        """Of one person."""

        def work(batch: Batch) -> Callable[[], Progress]:
            batch.state.require(annotator_id)
            progress = self._progress(batch, annotator_id)
            return lambda: progress

        return self.group.submit(work)

    def _progress(self, batch: Batch, annotator_id: int) -> Progress:
        """As its person may know it: in a project with known pairs or repeats, nothing of it tells them."""
        progress = batch.board.progress(annotator_id)
        shares = self._config.gold_share, self._config.repeat_share
        if not any(shares):
            return progress
        return progress.model_copy(
            update={"total": None, "about_left": about_left(batch.board.extent(annotator_id), *shares)}
        )

    def _next(self, batch: Batch, annotator_id: int, ahead: int, seed: int | None = None) -> Given | None:
        rng = random.Random(seed)
        return leases.next_assignment(batch, self._config, annotator_id, rng=rng, now=self._now(), ahead=ahead)

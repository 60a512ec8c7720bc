"""What asking needs of the database, in memory: read once, then only what has changed since.

Rows are numbered by their changes (schema.py), so what other threads and processes wrote is seen as well. Everything
here can be forgotten and read again at any time: the database alone is the truth.
"""

from typing import TypeAlias

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from penchant.feedback.board import Board, Given, Said
from penchant.feedback.people import COLUMNS, hashed, require_enabled
from penchant.feedback.records import Annotator, Refused
from penchant.feedback.schema import annotators, answers, assignments, tasks
from penchant.feedback.tasks import CHAT

__all__ = ["State", "Who"]

Who: TypeAlias = int | str
"""A person, by id or by token."""

SINCE: BindParameter[int] = bindparam("since")
NUMBERS = (tasks.c.changed, annotators.c.changed, assignments.c.changed, answers.c.id)
LAST = select(*(select(func.coalesce(func.max(number), -1)).scalar_subquery() for number in NUMBERS))
TASKS = (
    select(tasks.c.id, tasks.c.gold, tasks.c.uncertainty, tasks.c.origin == CHAT)
    .where(tasks.c.changed > SINCE)
    .order_by(tasks.c.position)
)
ANNOTATORS = select(*COLUMNS, annotators.c.token_hash).where(annotators.c.changed > SINCE)
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


class State:
    """The board, and who is who. overlap: answers a pair. One thread uses it, within transactions that write."""

    def __init__(self, overlap: int) -> None:
        self._overlap = overlap
        self.forget()

    def forget(self) -> None:
        """Know nothing any more: what was read of a transaction was rolled back."""
        self.board = Board(self._overlap)
        self._annotators: dict[int, Annotator] = {}
        self._hash_of: dict[int, str | None] = {}
        self._id_of: dict[str | None, int] = {}
        self._seen = (-1, -1, -1, -1)

    def sync(self, connection: Connection) -> None:
        """Read what has changed since the last time, whoever changed it."""
        task, annotator, given, answer = self._seen
        self._seen = last = tuple(connection.execute(LAST).one())
        if last[0] > task:
            for row in connection.execute(TASKS, {"since": task}):
                self.board.put_task(*row)
        if last[1] > annotator:
            self._read_annotators(connection, annotator)
        if last[2] > given:
            for row in connection.execute(GIVEN, {"since": given}):
                self.board.put(Given._make((*row, Said())))
        if last[3] > answer:
            for assignment_id, *values in connection.execute(ANSWERS, {"since": answer}):
                self.board.put_answer(assignment_id, Said(*values))

    def find(self, who: Who) -> Annotator:
        """The person; raises Refused for nobody's token, and for one who is disabled."""
        if isinstance(who, int):
            return self.require(who)
        found = self._annotators.get(self._id_of.get(hashed(who), -1))
        if found is None or found.disabled_at is not None:
            raise Refused("no_session", "there is no session; open your link again")
        return found

    def require(self, annotator_id: int) -> Annotator:
        """The person; raises Refused for one who is not there or disabled."""
        return require_enabled(self._annotators.get(annotator_id), annotator_id)

    def _read_annotators(self, connection: Connection, since: int) -> None:
        for *values, token_hash in connection.execute(ANNOTATORS, {"since": since}):
            person = Annotator(**dict(zip(Annotator.model_fields, values, strict=True)))
            self._id_of.pop(self._hash_of.get(person.id), None)
            self._annotators[person.id] = person
            self._hash_of[person.id] = token_hash
            self._id_of[token_hash] = person.id

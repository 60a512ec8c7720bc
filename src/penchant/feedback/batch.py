"""What one transaction of many votes reads and writes: each kind of row at once, however many votes there are.

Decisions are made on the board in memory. New rows get their ids beforehand, wait here and are written together; texts
that somebody is to see are read together at the end. So a hundred votes are about ten statements.
"""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from penchant.feedback.board import Given, Said
from penchant.feedback.database import new_ids
from penchant.feedback.records import Answer, Assignment
from penchant.feedback.rows import read_answer, texts_of
from penchant.feedback.schema import answers, assignments, tasks
from penchant.feedback.state import State

__all__ = ["Batch"]

# a statement that is built once costs half of one that is built each time
BY_KEYS = select(answers).where(answers.c.key.in_(bindparam("some", expanding=True)))
TEXTS = select(tasks.c.id, tasks.c.prompt, tasks.c.a, tasks.c.b).where(
    tasks.c.id.in_(bindparam("some", expanding=True))
)
LEASE = update(assignments).where(assignments.c.id == bindparam("of"))


class Batch:
    """keys: those of all answers that may be recorded. num: how many changes are expected."""

    def __init__(self, connection: Connection, state: State, keys: Collection[str], num: int) -> None:
        self.state, self.board = state, state.board
        self._connection, self._num = connection, num
        rows = connection.execute(BY_KEYS, {"some": list(keys)}) if keys else ()
        self._by_key = {row.key: read_answer(row) for row in rows}
        self._waiting: dict[Table, list[dict[str, Any]]] = {assignments: [], answers: []}
        self._ids: dict[Table, Iterator[int]] = {assignments: iter(()), answers: iter(())}
        self._to_read: set[str] = set()
        self._texts: dict[str, dict[str, Any]] = {}

    def by_key(self, key: str) -> Answer | None:
        """The answer that is stored under one of the keys."""
        return self._by_key.get(key)

    def give(self, given: Given, chosen_by: str, probability: float) -> Given:
        """Store a new assignment; it gets its id."""
        given = given._replace(id=self._new_id(assignments))
        kept = {name: getattr(given, name) for name in Given._fields[:7]}
        self._waiting[assignments].append(kept | {"chosen_by": chosen_by, "probability": probability})
        self.board.put(given)
        return given

    def lease(self, given: Given) -> None:
        """Store when an assignment was renewed or released, and which slot it has."""
        self._write()  # it may be one that waits
        lease = {"slot": given.slot, "renewed_at": given.renewed_at, "released_at": given.released_at}
        self._connection.execute(LEASE, {"of": given.id} | lease)
        self.board.put(given)

    def say(self, values: dict[str, Any]) -> Answer:
        """Store a new answer, given with every column but its id."""
        values["id"] = self._new_id(answers)
        self._waiting[answers].append(values)
        answer = self._by_key[values["key"]] = Answer(**values)
        self.board.put_answer(answer.assignment_id, Said(answer.id, answer.outcome, answer.created_at, answer.seconds))
        return answer

    def will_show(self, given: Given) -> None:
        """The texts of this pair will be needed."""
        self._to_read.add(given.task_id)

    def shown(self, given: Given) -> Assignment:
        """An open pair with its texts, once the batch is finished."""
        shown_first = given.shown_first or "a"  # an imported answer may not say
        return Assignment(id=given.id, task_id=given.task_id, shown_first=shown_first, **self._texts[given.task_id])

    def finish(self) -> None:
        """Write what waits, and read the texts."""
        self._write()
        if self._to_read:
            rows = self._connection.execute(TEXTS, {"some": sorted(self._to_read)})
            self._texts = {row.id: texts_of(row) for row in rows}

    def _new_id(self, table: Table) -> int:
        found = next(self._ids[table], None)
        if found is None:
            self._write()
            self._ids[table] = iter(new_ids(self._connection, table.name, self._num))
            found = next(self._ids[table])
        return found

    def _write(self) -> None:
        for table, rows in self._waiting.items():
            if rows:
                self._connection.execute(insert(table), rows)
                rows.clear()

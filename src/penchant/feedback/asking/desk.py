"""A person's actions on pairs, decided in memory: get a pair, answer, skip, undo.

The store passes a desk what it needs for one transaction, and stores the resulting `rows`. A change that raises Refused
has changed nothing.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from penchant.feedback.asking.board import Board, Given, Said
from penchant.feedback.asking.choosing import about_left, choose
from penchant.feedback.project import ProjectConfig
from penchant.feedback.records import Annotator, Answer, NewAnswer, Progress, Refused, Reply, Side

__all__ = ["Desk", "Ids", "People", "Rows", "hashed", "require_enabled"]


class Ids(NamedTuple):
    """Ids of new rows, ascending and higher than all stored ones."""

    assignments: Iterator[int]
    answers: Iterator[int]


@dataclass(slots=True)
class Rows:
    """Rows to store in this order: new assignments, new answers, and current leases of assignments."""

    assignments: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    leases: list[dict[str, Any]] = field(default_factory=list)


class Desk:
    """Serves people; each method that a person calls returns a `Reply`, or raises Refused.

    stored: stored answers under the keys that may arrive. rows: what to store, in order.
    """

    def __init__(
        self,
        config: ProjectConfig,
        board: Board,
        people: "People",
        *,
        ids: Ids,
        stored: Mapping[str, Answer],
        clock: Callable[[], datetime],
    ) -> None:
        self.board, self.people, self.rows = board, people, [Rows()]
        self._config, self._ids, self._now = config, ids, clock
        self._by_key = dict(stored)

    def wake(self) -> Reply[Given]:
        """Do nothing; calling it loads the board before somebody waits for it."""
        return Reply()

    def next_pair(self, annotator_id: int, ahead: int = 0, seed: int | None = None) -> Reply[Given]:
        """The open pair number `ahead` of this person, else a new one."""
        self.people.require(annotator_id)
        return Reply(current=self._next(annotator_id, ahead, seed))

    def turn(self, token: str) -> Reply[Given]:
        """The current pair of the person with this token, and the next pair."""
        annotator_id = self.people.find(token).id
        current = self._next(annotator_id, 0)
        then = self._next(annotator_id, 1) if current else None
        return Reply(current=current, then=then, progress=self._progress(annotator_id))

    def vote(self, token: str, assignment_id: int, answer: Callable[[int, Side], NewAnswer]) -> Reply[Given]:
        """Record an answer and give one more pair; `answer` is called with the person's id and the side shown first."""
        annotator_id = self.people.find(token).id
        given = self.board.assignment(assignment_id, annotator_id)
        taken = self._record(answer(annotator_id, (given and given.shown_first) or "a"))
        then = self._next(annotator_id, 1)
        return Reply(answer=taken, then=then, progress=self._progress(annotator_id))

    def record(self, new: NewAnswer) -> Reply[Given]:
        """Record an answer."""
        return Reply(answer=self._record(new))

    def undo(self, annotator_id: int, key: str) -> Reply[Given]:
        """Withdraw the person's latest current answer, which reopens its assignment; no answer: none existed."""
        self.people.require(annotator_id)
        known = self._by_key.get(key)
        if known is not None:
            if known.annotator_id != annotator_id or known.outcome != "withdrawn":
                raise Refused("key", "another answer was sent under this key; send this one under a new key")
            return Reply(answer=known)
        given = self.board.latest(annotator_id)
        if given is None:
            return Reply()
        now = self._now()
        self._lease_again(given, now)
        nothing: dict[str, Any] = {"strength": None, "reasons": [], "comment": "", "seconds": None, "flags": []}
        return Reply(answer=self._say(given, nothing | {"key": key, "outcome": "withdrawn"}, now))

    def progress(self, annotator_id: int) -> Reply[Given]:
        """The person's progress."""
        self.people.require(annotator_id)
        return Reply(progress=self._progress(annotator_id))

    def _record(self, new: NewAnswer) -> Answer:
        """The new answer, or the one stored under its key: nothing is changed or deleted."""
        self.people.require(new.annotator_id)
        if (known := self._by_key.get(new.key)) is not None:
            return new.require_same(known)
        given = self.board.assignment(new.assignment_id, new.annotator_id)
        if given is None:
            raise Refused("not_yours", "this pair was not given to you; ask for the next one")
        new.check(asks_strength=self._config.strength, reasons=self._config.reasons)
        now = self._now()
        if new.outcome == "skip":
            self._release(given, now)
        elif given.released_at is not None:
            self._lease_again(given, now)
        is_first = given.said.answer_id is None  # the time of a correction means nothing, as the pair was read before
        return self._say(given, new.row(too_fast_seconds=self._config.too_fast_seconds if is_first else 0.0), now)

    def _next(self, annotator_id: int, ahead: int, seed: int | None = None) -> Given | None:
        """Release expired leases of others first; renew the leases of this pair and of those before it."""
        now, lasts = self._now(), timedelta(minutes=self._config.lease_minutes)
        for expired in self.board.expired(now - lasts, annotator_id):
            self._release(expired, now)
        mine = self.board.open_of(annotator_id)
        for given in mine[: ahead + 1]:
            if now - given.began > lasts / 10:  # repeated requests need not write
                self._lease_again(given, now)
        return mine[ahead] if len(mine) > ahead else self._give(annotator_id, seed, now)

    def _give(self, annotator_id: int, seed: int | None, now: datetime) -> Given | None:
        config, board = self._config, self.board
        choice = choose(
            board.pool(annotator_id),
            board.gold_for(annotator_id) if config.gold_share else [],
            board.repeats_for(annotator_id) if config.repeat_share else [],
            random_share=config.random_share,
            gold_share=config.gold_share,
            repeat_share=config.repeat_share,
            rng=random.Random(seed),
        )
        if choice is None:
            return None
        slot = board.free_slot(choice.task_id) if choice.kind == "main" else None
        kept: dict[str, Any] = {
            "id": next(self._ids.assignments),
            "task_id": choice.task_id,
            "annotator_id": annotator_id,
        }
        kept |= {"kind": choice.kind, "slot": slot, "shown_first": choice.shown_first, "created_at": now}
        drawn = {"chosen_by": choice.chosen_by, "probability": choice.probability}
        self._rows_for_new().assignments.append(kept | drawn)
        given = Given(**kept, renewed_at=None, released_at=None)
        board.put(given)
        return given

    def _lease_again(self, given: Given, now: datetime) -> None:
        """Renew a lease; raises Refused if others have its slots, or its person was given the task again."""
        slot, is_taken = given.slot, False
        if given.released_at is not None:
            is_taken = self.board.was_given_again(given)
            if given.kind == "main":
                slot = self.board.free_slot(given.task_id)
                is_taken = is_taken or slot is None
        if is_taken:
            raise Refused("taken", "this pair was given out again in the meantime; continue with the next one")
        self._lease(given._replace(slot=slot, renewed_at=now, released_at=None))

    def _release(self, given: Given, now: datetime) -> None:
        """Release a person's assignment."""
        if given.released_at is None:
            self._lease(given._replace(released_at=now))

    def _lease(self, given: Given) -> None:
        lease = {"of": given.id, "slot": given.slot, "renewed_at": given.renewed_at, "released_at": given.released_at}
        self.rows[-1].leases.append(lease)
        self.board.put(given)

    def _say(self, given: Given, what: dict[str, Any], now: datetime) -> Answer:
        """Add an answer, superseding the assignment's current one, even if withdrawn, so that the chain is linear."""
        same = {"annotator_id": given.annotator_id, "task_id": given.task_id, "shown_first": given.shown_first}
        links = {"assignment_id": given.id, "supersedes": given.said.answer_id, "created_at": now}
        row = what | same | links | {"id": next(self._ids.answers)}
        self._rows_for_new().answers.append(row)
        answer = self._by_key[row["key"]] = Answer(**row)
        self.board.put_answer(given.id, Said(answer.id, answer.outcome, now, answer.seconds))
        return answer

    def _rows_for_new(self) -> Rows:
        if self.rows[-1].leases:  # an ended lease frees a slot for new rows
            self.rows.append(Rows())
        return self.rows[-1]

    def _progress(self, annotator_id: int) -> Progress:
        """Progress as shown to its person: it does not reveal gold pairs or repeats."""
        progress = self.board.progress(annotator_id)
        shares = self._config.gold_share, self._config.repeat_share
        if not any(shares):
            return progress
        left = about_left(self.board.extent(annotator_id), *shares)
        return progress.model_copy(update={"total": None, "about_left": left})


class People:
    """People who may answer, by id and by token. visitors: hashes of tokens stored nowhere else, with their owners."""

    def __init__(self, visitors: Mapping[str, int]) -> None:
        self._visitors = visitors
        self._annotators: dict[int, Annotator] = {}
        self._hash_of: dict[int, str | None] = {}
        self._id_of: dict[str | None, int] = {}

    def put(self, person: Annotator, token_hash: str | None) -> None:
        """Update a person."""
        self._id_of.pop(self._hash_of.get(person.id), None)
        self._annotators[person.id] = person
        self._hash_of[person.id] = token_hash
        self._id_of[token_hash] = person.id

    def find(self, token: str) -> Annotator:
        """The owner of a token; raises Refused for an unknown token, and for a disabled person's."""
        key = hashed(token)
        if key in self._visitors:
            return self.require(self._visitors[key])
        found = self._annotators.get(self._id_of.get(key, -1))
        if found is None or found.disabled_at is not None:
            raise Refused("no_session", "there is no session; open your link again")
        return found

    def require(self, annotator_id: int) -> Annotator:
        """The person; raises Refused if unknown or disabled."""
        return require_enabled(self._annotators.get(annotator_id), annotator_id)


def require_enabled(annotator: Annotator | None, annotator_id: int) -> Annotator:
    """The person with this id; raises Refused if unknown or disabled."""
    if annotator is None:
        raise Refused("unknown", f"there is no annotator {annotator_id}; ask for an invitation")
    if annotator.disabled_at is not None:
        raise Refused("disabled", f"{annotator.name} may no longer answer; ask for a new invitation")
    return annotator


def hashed(token: str) -> str:
    """The stored hash of a token; 256 random bits need no slower hash against guessing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

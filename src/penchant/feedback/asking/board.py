"""The state of all pairs in memory: who has which, which may be given to whom, and everyone's progress.

One thread uses a board, and keeps it in sync with the database.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from penchant.feedback.asking.choosing import ANSWERS_BEFORE_REPEAT, AskableTasks, Extent, Pool, disagreement
from penchant.feedback.records import RECENT, Kind, Progress, Side, pace

__all__ = ["Board", "Given", "Said"]

DECIDED = ("a", "b", "tie", "both_bad")


class Said(NamedTuple):
    """The current answer to an assignment; outcome None: there is none yet, or it was withdrawn.

    seconds: on a board, the time of the first answer, whatever followed; None if that was a skip.
    """

    answer_id: int | None = None
    outcome: str | None = None
    created_at: datetime | None = None
    seconds: float | None = None


class Given(NamedTuple):
    """An assignment, with its current answer."""

    id: int
    task_id: str
    annotator_id: int
    kind: Kind
    slot: int | None
    shown_first: Side | None
    created_at: datetime
    renewed_at: datetime | None
    released_at: datetime | None
    said: Said = Said()

    @property
    def outcome(self) -> str | None:
        """The outcome of the current answer."""
        return self.said.outcome

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.released_at is None and self.outcome is None

    @property
    def counts(self) -> bool:
        """Whether it counts as given to its person: not if it expired unanswered; a skip counts."""
        return self.released_at is None or self.outcome is not None

    @property
    def began(self) -> datetime:
        """The start of its lease."""
        return self.renewed_at or self.created_at


@dataclass(slots=True)
class _Task:
    gold: str | None
    uncertainty: float | None
    is_private: bool
    holders: dict[int, int] = field(default_factory=dict)  # slot to person, of live main assignments
    votes: dict[int, str] = field(default_factory=dict)  # of main assignments, by their ids


@dataclass(slots=True)
class _Person:
    given: defaultdict[Kind, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # that count
    open: dict[int, Given] = field(default_factory=dict)
    said: dict[int, Given] = field(default_factory=dict)  # by assignment, in order of the current answers
    num_answered: int = 0


class Board:
    """Tracks all assignments except verdicts on others' answers.

    overlap: how many people are given a task; if it is 1, a private task is given to nobody.
    """

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        self._tasks: dict[str, _Task] = {}
        self._gold: dict[str, None] = {}
        self._given: dict[int, Given] = {}
        self._people: defaultdict[int, _Person] = defaultdict(_Person)
        self._open: dict[int, Given] = {}
        self._askable = AskableTasks()

    def put_task(self, task_id: str, gold: str | None, uncertainty: float | None, is_private: bool) -> None:
        """Update a task; `gold` and `is_private` never change."""
        task = self._tasks.setdefault(task_id, _Task(gold, uncertainty, is_private))
        task.uncertainty = uncertainty
        if gold is not None:
            self._gold[task_id] = None
        self._place(task_id, task)

    def put(self, given: Given) -> None:
        """Update an assignment, but not its answer."""
        old = self._given.get(given.id)
        self._replace(old, given if old is None else given._replace(said=old.said))

    def put_answer(self, assignment_id: int, said: Said) -> None:
        """Update the current answer to an assignment; answers arrive in order of their ids."""
        old = self._given.get(assignment_id)
        if old is None:
            return  # a verdict
        if old.said.answer_id != said.answer_id:
            self._people[old.annotator_id].said.pop(assignment_id, None)  # the new one goes to the end
        if old.said.answer_id is not None:
            said = said._replace(seconds=old.said.seconds)
        elif said.outcome == "skip":
            said = said._replace(seconds=None)
        self._replace(old, old._replace(said=said if said.outcome != "withdrawn" else said._replace(outcome=None)))

    def _replace(self, old: Given | None, new: Given) -> None:
        if old == new:
            return
        person, task = self._people[new.annotator_id], self._tasks[new.task_id]
        if old is not None:
            _take_away(old, person, task)
            self._open.pop(old.id, None)
        _add(new, person, task)
        if new.is_open:
            self._open[new.id] = new
        self._given[new.id] = new
        self._place(new.task_id, task)

    # What a person may be given

    def pool(self, annotator_id: int) -> Pool:
        """Main tasks with fewer than `overlap` live assignments, none of them this person's."""
        return self._askable.without(self._people[annotator_id].given["main"])

    def gold_for(self, annotator_id: int) -> list[str]:
        """Gold tasks not yet given to this person."""
        given = list(self._people[annotator_id].given.values())
        return [task_id for task_id in self._gold if not any(task_id in tasks for tasks in given)]

    def repeats_for(self, annotator_id: int) -> list[str]:
        """Main tasks this person answered, with at least ten answers of theirs after it, and not yet repeated."""
        person = self._people[annotator_id]
        own = list(person.said.values())[:-ANSWERS_BEFORE_REPEAT]
        repeated = person.given["repeat"]
        return [g.task_id for g in own if g.kind == "main" and g.outcome != "skip" and g.task_id not in repeated]

    def free_slot(self, task_id: str) -> int | None:
        """The lowest free slot; None once `overlap` slots are taken, whatever their numbers."""
        taken = self._tasks[task_id].holders
        return next(slot for slot in range(self.overlap) if slot not in taken) if len(taken) < self.overlap else None

    def was_given_again(self, given: Given) -> bool:
        """Whether its person was given the same task again after this assignment expired."""
        return self._people[given.annotator_id].given[given.kind][given.task_id] > given.counts

    # What is known of assignments

    def assignment(self, assignment_id: int, annotator_id: int) -> Given | None:
        """A person's own assignment; None for another's."""
        given = self._given.get(assignment_id)
        return given if given is not None and given.annotator_id == annotator_id else None

    def open_of(self, annotator_id: int) -> list[Given]:
        """A person's open assignments, oldest first."""
        own = self._people[annotator_id].open
        return [own[number] for number in sorted(own)]

    def expired(self, before: datetime, annotator_id: int) -> list[Given]:
        """Open assignments of others with a lease that began before that time."""
        return [g for g in self._open.values() if g.began < before and g.annotator_id != annotator_id]

    def latest(self, annotator_id: int) -> Given | None:
        """The assignment with the person's latest answer."""
        return next(reversed(self._people[annotator_id].said.values()), None)

    def progress(self, annotator_id: int) -> Progress:
        """One person's progress: answered, and answered plus what they have or could be given."""
        person = self._people[annotator_id]
        total = person.num_answered + self.pool(annotator_id).num + len(person.open)
        recent = [g.said for g in islice(reversed(person.said.values()), RECENT) if g.outcome != "skip"]
        speed = pace([[said.created_at for said in recent if said.created_at]], [said.seconds for said in recent])
        return Progress(answered=person.num_answered, total=total, **speed)

    def extent(self, annotator_id: int) -> Extent:
        """What is available to one person, in numbers that do not reveal the kinds of their pairs."""
        person, num_askable = self._people[annotator_id], self.pool(annotator_id).num
        return Extent(
            reach=len(person.given["main"]) + num_askable,
            done=len(person.said),
            num_gold=len(self._gold),
            is_over=not (person.open or num_askable),
        )

    def _place(self, task_id: str, task: _Task) -> None:
        if task.gold is not None or len(task.holders) >= self.overlap or (task.is_private and self.overlap == 1):
            self._askable.discard(task_id)
        elif task.uncertainty is not None:
            self._askable.put(task_id, task.uncertainty)
        else:  # with an overlap of 2, a task that still takes answers has none that could disagree
            self._askable.put(task_id, disagreement(list(task.votes.values())) if self.overlap > 2 else 0.0)


def _add(given: Given, person: _Person, task: _Task) -> None:
    if given.is_open:
        person.open[given.id] = given
    if given.outcome is not None:
        person.said[given.id] = given
    else:
        person.said.pop(given.id, None)
    person.num_answered += given.outcome not in (None, "skip")
    if given.counts:
        person.given[given.kind][given.task_id] += 1
    if given.kind == "main":
        if given.released_at is None and given.slot is not None:
            task.holders[given.slot] = given.annotator_id
        if given.outcome in DECIDED:
            task.votes[given.id] = given.outcome


def _take_away(given: Given, person: _Person, task: _Task) -> None:
    """The inverse of `_add`, except for the position in `said`."""
    person.open.pop(given.id, None)
    person.num_answered -= given.outcome not in (None, "skip")
    if given.counts:
        own = person.given[given.kind]
        own[given.task_id] -= 1
        if not own[given.task_id]:
            del own[given.task_id]
    if given.kind == "main":
        if given.released_at is None and given.slot is not None:
            task.holders.pop(given.slot, None)
        task.votes.pop(given.id, None)

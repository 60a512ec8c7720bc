"""The free tasks by score, kept so that one is added, removed or drawn in the same time however many there are."""

import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Eligible", "Free", "Pool"]


class Eligible(NamedTuple):
    """A main task that a person may be given; `score` says how uncertain its answer is, higher for more."""

    task_id: str
    score: float


class Free:
    """Tasks that may be given to somebody, each with its score.

    Example:
        >>> free = Free([Eligible("sure", 0.0), Eligible("unsure", 0.5)])
        >>> free.but({"unsure": 1}).num
        1
    """

    def __init__(self, tasks: Iterable[Eligible] = ()) -> None:
        self._all = _Urn()
        self._score_of: dict[str, float] = {}
        self._with_score: dict[float, _Urn] = {}
        self._scores: list[float] = []  # those of _with_score, ascending
        for task_id, score in tasks:
            self.put(task_id, score)

    def put(self, task_id: str, score: float) -> None:
        """Make a task free, or change its score."""
        if self._score_of.get(task_id) == score:
            return
        self.discard(task_id)
        if score not in self._with_score:
            self._with_score[score] = _Urn()
            insort(self._scores, score)
        self._with_score[score].add(task_id)
        self._all.add(task_id)
        self._score_of[task_id] = score

    def discard(self, task_id: str) -> None:
        """A task is not free any more, if it was."""
        if task_id not in self._score_of:
            return
        score = self._score_of.pop(task_id)
        self._all.discard(task_id)
        self._with_score[score].discard(task_id)
        if not self._with_score[score]:
            del self._with_score[score]
            del self._scores[bisect_left(self._scores, score)]

    def but(self, given: Mapping[str, Any]) -> "Pool":
        """The free tasks for a person who was given these; good until the next change."""
        highest, num_highest = _Urn(), 0
        for score in reversed(self._scores):
            highest = self._with_score[score]
            num_highest = highest.num_without(given)
            if num_highest:
                break
        return Pool(given, self._all, self._all.num_without(given), highest, num_highest)


@dataclass(frozen=True, slots=True)
class Pool:
    """The free tasks for one person: `num` of them, of which `num_highest` have the highest score."""

    _given: Mapping[str, Any]
    _all: "_Urn"
    num: int
    _highest: "_Urn"
    num_highest: int

    def draw(self, rng: random.Random) -> str:
        """One of them, each as likely."""
        return self._all.draw(rng, self._given, self.num)

    def draw_highest(self, rng: random.Random) -> str:
        """One of those with the highest score, each as likely."""
        return self._highest.draw(rng, self._given, self.num_highest)

    def is_highest(self, task_id: str) -> bool:
        """Whether this task has the highest score."""
        return task_id in self._highest.places


class _Urn:
    """A set that one can draw from: a list, and where in it each element is."""

    __slots__ = ("items", "places")

    def __init__(self) -> None:
        self.items: list[str] = []
        self.places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: str) -> None:
        self.places[item] = len(self.items)
        self.items.append(item)

    def discard(self, item: str) -> None:
        """The last one takes its place."""
        place, last = self.places.pop(item), self.items.pop()
        if last != item:
            self.items[place] = last
            self.places[last] = place

    def num_without(self, others: Mapping[str, Any]) -> int:
        return len(self.items) - len(self.places.keys() & others.keys())

    def draw(self, rng: random.Random, others: Mapping[str, Any], num: int) -> str:
        """One of the `num` that are not among the others: tried for, or listed where trying would take long."""
        if num * 8 < len(self.items):
            return rng.choice([item for item in self.items if item not in others])
        while (item := rng.choice(self.items)) in others:
            pass
        return item

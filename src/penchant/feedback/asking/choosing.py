"""Choose the next pair for a person, with its exact probability, and estimate how many are left.

Main tasks come from a mixture: a share drawn uniformly, so that every task can occur and the answers represent all of
them, and the rest most uncertain first, so that few answers are informative.
"""

import random
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

from penchant.feedback.records import ChosenBy, Kind, Side

__all__ = [
    "ANSWERS_BEFORE_REPEAT",
    "AskableTasks",
    "Choice",
    "Extent",
    "Pool",
    "about_left",
    "choose",
    "disagreement",
    "main_probabilities",
]

ANSWERS_BEFORE_REPEAT = 10
"""The fewest other answers before a person is asked a pair again."""


class Choice(NamedTuple):
    """The task, the reason, and the probability of this choice within the reason's kind."""

    task_id: str
    kind: Kind
    chosen_by: ChosenBy
    probability: float
    shown_first: Side


def choose(
    main: "Pool",
    gold: Sequence[str],
    repeats: Sequence[str],
    *,
    random_share: float,
    gold_share: float,
    repeat_share: float,
    rng: random.Random,
) -> Choice | None:
    """Choose the next task, and the side shown first, each with probability one half.

    A gold task is chosen with probability gold_share, a repeat with repeat_share, uniformly among those available; the
    share of a kind without tasks goes to main. If no main task is left the person is done, unless the project has only
    gold tasks and repeats by intent (the available kinds' shares sum to 1): then None.

    Args:
        main: tasks to answer. gold: tasks with a known answer. repeats: the person's earlier tasks to ask again.
        random_share: probability that a main task is drawn uniformly. rng: the only source of randomness.

    Example:
        >>> pool = AskableTasks({"sure": 0.0, "unsure": 0.5}).without({})
        >>> shares = {"gold_share": 0.0, "repeat_share": 0.0}
        >>> choose(pool, [], [], random_share=0.0, **shares, rng=random.Random(0)).task_id
        'unsure'
    """
    gold_share = gold_share if gold else 0.0
    repeat_share = repeat_share if repeats else 0.0
    main_share = 1 - gold_share - repeat_share
    if not main.num and main_share > 1e-9:
        return None
    shown_first: Side = "a" if rng.random() < 0.5 else "b"
    draw = rng.random()
    if draw < gold_share:
        return Choice(rng.choice(gold), "gold", "gold", gold_share / len(gold), shown_first)
    if repeats and (draw < gold_share + repeat_share or not main.num):
        return Choice(rng.choice(repeats), "repeat", "repeat", repeat_share / len(repeats), shown_first)
    if not main.num:
        return Choice(rng.choice(gold), "gold", "gold", gold_share / len(gold), shown_first)
    evenly = rng.random() < random_share
    task_id = main.draw(rng) if evenly else main.draw_highest(rng)
    low, high = main_probabilities(main.num, main.num_highest, random_share)
    probability = main_share * (high if main.is_highest(task_id) else low)
    return Choice(task_id, "main", "random" if evenly else "uncertainty", probability, shown_first)


def main_probabilities(num: int, num_highest: int, random_share: float) -> tuple[float, float]:
    """Probability of a task below the highest score, r / N, and of one of the M with it, r / N + (1 - r) / M.

    Example:
        >>> main_probabilities(4, 2, 0.5)
        (0.125, 0.375)
    """
    even = random_share / num
    return even, even + (1 - random_share) / num_highest


def disagreement(outcomes: Sequence[str]) -> float:
    """Share of the answers other than the most common one; 0 if there are none.

    Example:
        >>> disagreement(["a", "a", "b", "tie"])
        0.5
    """
    if not outcomes:
        return 0.0
    return 1 - max(map(list(outcomes).count, set(outcomes))) / len(outcomes)


class Extent(NamedTuple):
    """What is available to one person.

    reach: main tasks they were given or could be given; fetching or answering a pair does not change it.
    done: current answers of every kind, including skips. num_gold: gold tasks of the project. is_over: they have no
    open pair, and there is no main task for them.
    """

    reach: int
    done: int
    num_gold: int
    is_over: bool


def about_left(extent: Extent, gold_share: float, repeat_share: float) -> int:
    """Pairs left, rounded up to tens: main tasks, less the expected number of them among the answers.

    0 only if nothing is left. With gold tasks or repeats, an exact number would reveal them: it changes after an
    ordinary pair and not after another. So the estimate depends only on the number of answers, whatever their kind.

    Example:
        >>> about_left(Extent(reach=100, done=50, num_gold=20, is_over=False), gold_share=0.1, repeat_share=0.0)
        60
    """
    if extent.is_over:
        return 0
    gold = min(gold_share * extent.done, extent.num_gold)
    repeats = min(repeat_share * extent.done, max(extent.done - ANSWERS_BEFORE_REPEAT, 0))
    left = extent.reach - extent.done + int(gold + repeats)
    return 10 * ceil(max(left, 1) / 10)


class AskableTasks:
    """Main tasks that may be assigned, each with its uncertainty as a score, higher for more uncertain.

    Adding, removing and drawing take constant time.

    Example:
        >>> AskableTasks({"sure": 0.0, "unsure": 0.5}).without({"unsure": 1}).num
        1
    """

    def __init__(self, score_of: Mapping[str, float] | None = None) -> None:
        self._all = _Urn()
        self._score_of: dict[str, float] = {}
        self._with_score: dict[float, _Urn] = {}
        self._scores: list[float] = []  # those of _with_score, ascending
        for task_id, score in (score_of or {}).items():
            self.put(task_id, score)

    def put(self, task_id: str, score: float) -> None:
        """Add a task, or change its score."""
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
        """Remove a task, if present."""
        if task_id not in self._score_of:
            return
        score = self._score_of.pop(task_id)
        self._all.discard(task_id)
        self._with_score[score].discard(task_id)
        if not self._with_score[score]:
            del self._with_score[score]
            del self._scores[bisect_left(self._scores, score)]

    def without(self, given: Mapping[str, Any]) -> "Pool":
        """The tasks for a person who was given these; valid until the next change."""
        highest, num_highest = _Urn(), 0
        for score in reversed(self._scores):
            highest = self._with_score[score]
            num_highest = highest.num_without(given)
            if num_highest:
                break
        return Pool(given, self._all, self._all.num_without(given), highest, num_highest)


@dataclass(frozen=True, slots=True)
class Pool:
    """The tasks available to one person: `num`, including `num_highest` with the highest score."""

    _given: Mapping[str, Any]
    _all: "_Urn"
    num: int
    _highest: "_Urn"
    num_highest: int

    def draw(self, rng: random.Random) -> str:
        """Draw one uniformly."""
        return self._all.draw(rng, self._given, self.num)

    def draw_highest(self, rng: random.Random) -> str:
        """Draw one with the highest score, uniformly."""
        return self._highest.draw(rng, self._given, self.num_highest)

    def is_highest(self, task_id: str) -> bool:
        """Whether this task has the highest score."""
        return task_id in self._highest.places


class _Urn:
    """A set to draw from: a list, and the index of each element."""

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
        place, last = self.places.pop(item), self.items.pop()
        if last != item:
            self.items[place] = last  # replaced by the last one
            self.places[last] = place

    def num_without(self, others: Mapping[str, Any]) -> int:
        return len(self.items) - len(self.places.keys() & others.keys())

    def draw(self, rng: random.Random, others: Mapping[str, Any], num: int) -> str:
        """Draw one of the `num` not among the others: by rejection, or from a list if that would take long."""
        if num * 8 < len(self.items):
            return rng.choice([item for item in self.items if item not in others])
        while (item := rng.choice(self.items)) in others:
            pass
        return item

"""Ballots: all that people answered, before it is decided what counts as a vote.

A ballot may say that both are bad, and may know its prompt, its unit, its annotator and which side was shown first.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penchant.errors import ConfigError, DataError
from penchant.ranking.coded import Coded, first_appearance
from penchant.ranking.votes import OUTCOMES, Votes

__all__ = ["ANSWERS", "Ballots", "BothBad"]

ANSWERS = ("left", "right", "tie", "both_bad")
CLUSTERS = ("prompt", "annotator")

BothBad = Literal["apart", "tie"]
Labels = Sequence[Hashable] | None


@dataclass(frozen=True, eq=False)
class Ballots:
    """V answers as columns; a column that nobody recorded is None, and so is a cell of it.

    Columns are kept as `Coded`, whatever sequence they are given as.

    "both_bad" is no tie: a tie says that the two are as good as each other, both_bad that neither is any good. It says
    nothing about which is better, so by default it does not enter a ranking and is counted apart.

    Attributes:
        left, right: names of items.
        outcome: "left", "right", "tie" or "both_bad".
        prompt: what was asked.
        unit: what was judged: two people who compared the same two responses share one, whichever stood left.
        annotator: who answered.
        shown_first: "left" or "right".

    Raises:
        DataError: columns of different length, an unknown outcome or side, no answer at all.

    Example:
        >>> ballots = Ballots(["tea", "tea"], ["coffee", "juice"], ["left", "both_bad"])
        >>> len(ballots), ballots.count("both_bad")
        (2, 1)
    """

    left: Sequence[str]
    right: Sequence[str]
    outcome: Sequence[str]
    prompt: Labels = None
    unit: Labels = None
    annotator: Labels = None
    shown_first: Labels = None

    def __post_init__(self) -> None:
        columns = {name: Coded.of(column) for name, column in vars(self).items() if column is not None}
        for name, column in columns.items():
            if len(column) != len(columns["outcome"]):
                raise DataError(f"The column {name!r} must have {len(columns['outcome'])} values; got {len(column)}.")
            object.__setattr__(self, name, column)
        for name, known in (("outcome", ANSWERS), ("shown_first", ("left", "right", None))):
            if name in columns and not set(columns[name].labels) <= set(known):
                number = int(np.argmin(columns[name].where(*known)))
                value = columns[name][number]
                raise DataError(f"Ballot {number + 1} has the {name} {value!r}; it must be one of {known}.")
        if len(self) == 0:
            raise DataError("A ranking needs votes; got none.")

    def __len__(self) -> int:
        return len(self.outcome)

    def count(self, answer: str) -> int:
        """How many ballots say so.

        Example:
            >>> Ballots(["tea"], ["milk"], ["tie"]).count("tie")
            1
        """
        return int(_coded(self.outcome).where(answer).sum())

    def num_without(self, name: str) -> int:
        """How many ballots have nothing in this column ("prompt", "annotator", ...).

        Example:
            >>> Ballots(["a", "b"], ["b", "a"], ["left", "left"], annotator=["Ann", None]).num_without("annotator")
            1
        """
        column = getattr(self, name)
        return len(self) if column is None else int(_coded(column).where(None).sum())

    @property
    def recorded(self) -> tuple[str, ...]:
        """Which of prompt and annotator every ballot knows, so that votes can be clustered by it."""
        return tuple(name for name in CLUSTERS if not self.num_without(name))

    def votes(self, both_bad: BothBad = "apart") -> Votes:
        """The ballots that rank, clustered by what is recorded.

        Args:
            both_bad: "apart" leaves answers of both_bad out; "tie" takes them for ties, as some leaderboards do.

        Raises:
            ConfigError: another both_bad.
            DataError: nothing is left, or an item meets itself.

        Example:
            >>> ballots = Ballots(["tea", "tea"], ["milk", "milk"], ["left", "both_bad"], annotator=["Ann", "Bo"])
            >>> len(ballots.votes()), len(ballots.votes("tie")), list(ballots.votes("tie").clusters)
            (1, 2, ['annotator'])
        """
        if both_bad not in ("apart", "tie"):
            raise ConfigError(f"both_bad must be 'apart' or 'tie'; got {both_bad!r}.")
        outcome = _coded(self.outcome)
        kept_V = np.ones(len(self), dtype=bool) if both_bad == "tie" else ~outcome.where("both_bad")
        if not kept_V.any():
            raise DataError(f"Every one of the {len(self)} answers is both_bad, which ranks nothing.")
        items, sides = _of_both(_coded(self.left), _coded(self.right), kept_V)
        signs = np.array([OUTCOMES["tie" if answer == "both_bad" else str(answer)] for answer in outcome.labels])
        clusters = {}
        for name in self.recorded:
            column = _coded(getattr(self, name))
            clusters[name] = first_appearance(column.code_N[kept_V], len(column.labels))[1]
        return Votes(
            items=items,
            left_V=sides[0],
            right_V=sides[1],
            outcome_V=signs[outcome.code_N[kept_V]],
            weight_V=np.ones(int(kept_V.sum())),
            clusters=clusters,
        )

    def answers(self) -> list[dict[Hashable, str]]:
        """Annotator -> answer for each unit, the sides being those of the unit's first ballot.

        Who answers a unit twice counts with the last answer. Answers that name nobody are not among them: whether two
        are of one person or of two, nobody knows.

        Example:
            >>> ballots = Ballots(["a", "b"], ["b", "a"], ["left", "left"], unit=[7, 7], annotator=["Ann", "Bo"])
            >>> ballots.answers()
            [{'Ann': 'left', 'Bo': 'right'}]
        """
        if self.unit is None or self.annotator is None:
            return []
        turned = {"left": "right", "right": "left"}
        first: dict[Hashable, str] = {}
        answers: dict[Hashable, dict[Hashable, str]] = {}
        known = ~_coded(self.unit).where(None) & ~_coded(self.annotator).where(None)
        columns = (self.unit, self.annotator, self.left, self.outcome)
        cells = ([_coded(column).labels[i] for i in _coded(column).code_N[known]] for column in columns)
        for unit, person, left, answer in zip(*cells, strict=True):
            same_way = first.setdefault(unit, left) == left
            answers.setdefault(unit, {})[person] = answer if same_way else turned.get(answer, answer)
        return list(answers.values())

    def both_bad_of(self) -> Mapping[str, int]:
        """How many answers of both_bad each item met with; items without any are there with 0.

        Example:
            >>> Ballots(["tea", "tea"], ["milk", "juice"], ["both_bad", "left"]).both_bad_of()
            {'tea': 1, 'milk': 1, 'juice': 0}
        """
        bad_V = _coded(self.outcome).where("both_bad")
        counts: dict[str, int] = {}
        for side in map(_coded, (self.left, self.right)):
            order, _ = first_appearance(side.code_N, len(side.labels))
            num_bad = np.bincount(side.code_N[bad_V], minlength=len(side.labels))
            for code in order:
                counts[side.labels[code]] = counts.get(side.labels[code], 0) + int(num_bad[code])
        return counts


def _coded(column: Sequence[Hashable]) -> Coded:
    return column if isinstance(column, Coded) else Coded.of(column)


def _of_both(left: Coded, right: Coded, kept_V: NDArray[np.bool_]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The items of both sides as they first appear, and (2, V) the number of each side's in every vote kept."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys((*left.labels, *right.labels)))}
    sides = [np.array([numbers[item] for item in side.labels])[side.code_N[kept_V]] for side in (left, right)]
    order, place = first_appearance(np.stack(sides, axis=1).ravel(), len(numbers))
    items = tuple(numbers)
    return tuple(items[number] for number in order), place.reshape(-1, 2).T

"""Ballots: all answers, before deciding which of them count as votes.

A ballot may be both-bad, and may record its prompt, unit, annotator and the side shown first.
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
    """V answers as columns; an unrecorded column is None, and so is an unrecorded cell.

    Columns are stored as `Coded`, whatever sequence they are given as.

    "both_bad" is not a tie: a tie says that the two are equally good, both_bad that neither is good. It does not say
    which is better, so by default it is excluded from the ranking and counted separately.

    Attributes:
        left, right: names of items.
        outcome: "left", "right", "tie" or "both_bad".
        prompt: the prompt.
        unit: what was judged: votes on the same two responses share a unit, in either order.
        annotator: who answered.
        shown_first: "left" or "right".

    Raises:
        DataError: columns of different length, an unknown outcome or side, no answers.

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
        """The number of ballots with this outcome.

        Example:
            >>> Ballots(["tea"], ["milk"], ["tie"]).count("tie")
            1
        """
        return int(_coded(self.outcome).where(answer).sum())

    def num_without(self, name: str) -> int:
        """The number of ballots without a value in this column ("prompt", "annotator", ...).

        Example:
            >>> Ballots(["a", "b"], ["b", "a"], ["left", "left"], annotator=["Ann", None]).num_without("annotator")
            1
        """
        column = getattr(self, name)
        return len(self) if column is None else int(_coded(column).where(None).sum())

    @property
    def recorded(self) -> tuple[str, ...]:
        """Which of prompt and annotator every ballot records, so that votes can be clustered by it."""
        return tuple(name for name in CLUSTERS if not self.num_without(name))

    def votes(self, both_bad: BothBad = "apart") -> Votes:
        """The ballots that count as votes, with clusters for the columns recorded.

        Args:
            both_bad: "apart" leaves out both_bad answers; "tie" treats them as ties, as some leaderboards do.

        Raises:
            ConfigError: an invalid both_bad.
            DataError: no votes are left, or an item meets itself.

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
        """Annotator -> answer for each unit, with the sides of the unit's first ballot.

        If a person answers a unit twice, the last answer counts. Anonymous answers are left out, because it is unknown
        whether two of them are from the same person.

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
        """The number of both_bad answers on each item, including items with 0.

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
    """The items in order of appearance, and the indices (2, V) of both sides of every vote kept."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys((*left.labels, *right.labels)))}
    sides = [np.array([numbers[item] for item in side.labels])[side.code_N[kept_V]] for side in (left, right)]
    order, place = first_appearance(np.stack(sides, axis=1).ravel(), len(numbers))
    items = tuple(numbers)
    return tuple(items[number] for number in order), place.reshape(-1, 2).T

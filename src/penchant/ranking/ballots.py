"""Ballots: all that people answered, before it is decided what counts as a vote.

A ballot may say that both are bad, and may know its prompt, its unit, its annotator and which side was shown first.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penchant.errors import ConfigError, DataError
from penchant.ranking.votes import Votes

__all__ = ["ANSWERS", "Ballots", "BothBad"]

ANSWERS = ("left", "right", "tie", "both_bad")
CLUSTERS = ("prompt", "annotator")

BothBad = Literal["apart", "tie"]
Labels = Sequence[Hashable] | None


@dataclass(frozen=True, eq=False)
class Ballots:
    """V answers as columns; a column that nobody recorded is None, and so is a cell of it.

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
        columns = {name: column for name, column in vars(self).items() if column is not None}
        for name, column in columns.items():
            if len(column) != len(self.outcome):
                raise DataError(f"The column {name!r} must have {len(self.outcome)} values; got {len(column)}.")
        for name, known in (("outcome", ANSWERS), ("shown_first", ("left", "right", None))):
            for number, value in enumerate(columns.get(name, ()), start=1):
                if value not in known:
                    raise DataError(f"Ballot {number} has the {name} {value!r}; it must be one of {known}.")
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
        return list(self.outcome).count(answer)

    def num_without(self, name: str) -> int:
        """How many ballots have nothing in this column ("prompt", "annotator", ...).

        Example:
            >>> Ballots(["a", "b"], ["b", "a"], ["left", "left"], annotator=["Ann", None]).num_without("annotator")
            1
        """
        column = getattr(self, name)
        return len(self) if column is None else list(column).count(None)

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
        kept = [i for i, answer in enumerate(self.outcome) if both_bad == "tie" or answer != "both_bad"]
        if not kept:
            raise DataError(f"Every one of the {len(self)} answers is both_bad, which ranks nothing.")
        columns = {name: getattr(self, name) for name in self.recorded}
        return Votes.from_columns(
            [self.left[i] for i in kept],
            [self.right[i] for i in kept],
            ["tie" if self.outcome[i] == "both_bad" else self.outcome[i] for i in kept],
            clusters={name: [column[i] for i in kept] for name, column in columns.items()},
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
        turned = {"left": "right", "right": "left"}
        first: dict[Hashable, str] = {}
        answers: dict[Hashable, dict[Hashable, str]] = {}
        people = [None] * len(self) if self.annotator is None else self.annotator
        for i, unit in enumerate([] if self.unit is None else self.unit):
            if unit is not None and people[i] is not None:
                same_way = first.setdefault(unit, self.left[i]) == self.left[i]
                answer = self.outcome[i] if same_way else turned.get(self.outcome[i], self.outcome[i])
                answers.setdefault(unit, {})[people[i]] = answer
        return list(answers.values())

    def both_bad_of(self) -> Mapping[str, int]:
        """How many answers of both_bad each item met with; items without any are there with 0.

        Example:
            >>> Ballots(["tea", "tea"], ["milk", "juice"], ["both_bad", "left"]).both_bad_of()
            {'tea': 1, 'milk': 1, 'juice': 0}
        """
        counts = dict.fromkeys([*self.left, *self.right], 0)
        for left, right, answer in zip(self.left, self.right, self.outcome, strict=True):
            if answer == "both_bad":
                counts[left] += 1
                counts[right] += 1
        return counts

"""The protocol of judges: a judge has a name, answers comparisons, and explains each answer.

Most judges stand in for people. The DPO paper does the same in its controlled sentiment experiment, where a classifier
gives the true reward (arXiv 2305.18290, section 6): cheap and reproducible, but as narrow as its one number.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import JsonValue

from penchant.data import Comparison
from penchant.data.records import Outcome

__all__ = ["Judge", "Judgement", "Scorer", "decide"]


@dataclass(frozen=True)
class Judgement:
    """A judge's answer to one comparison; `details` explains it and is written beside it.

    scores: [of a, of b], from judges that score. orders: ["first" | "second" | "tie" | "both_bad" | None, ...], the
    position that was preferred with a in the first position and with b there, None if the reply could not be read.
    identical: both texts are the same, so nobody was asked. unreadable: why there is no score, or no reply (HTTP
    400: ...). For people: the number of each answer.

    people: who answered, empty if nobody needed to be asked; None for a stand-in.
    """

    outcome: Outcome
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    people: tuple[str, ...] | None = None


@runtime_checkable
class Judge(Protocol):
    """Anything with a name and a price that answers comparisons."""

    @property
    def name(self) -> str:
        """The judge's unique name in the ledger, the report and every answer."""

    @property
    def price(self) -> str:
        """The price of an answer, in words."""

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield (place, judgement) of each comparison as soon as it is known, in any order; places count from 0.

        has_answered: whether an earlier call got answers.
        """


@runtime_checkable
class Scorer(Protocol):
    """Anything with a name and a score; a higher score is a better response."""

    @property
    def name(self) -> str:
        """Its name in the ledger and the report."""

    def score(self, prompt: str, response: str) -> float:
        """A finite number for one response; the scale is the scorer's own."""


def decide(score_a: float, score_b: float, epsilon: float = 0.0) -> Judgement:
    """The side with the higher score; a tie if they differ by at most `epsilon`.

    Example:
        >>> decide(1.0, 0.5).outcome, decide(1.0, 0.5, epsilon=0.5).outcome
        ('a', 'tie')
    """
    details: dict[str, JsonValue] = {"scores": [score_a, score_b]}
    if abs(score_a - score_b) <= epsilon:
        return Judgement("tie", details)
    return Judgement("a" if score_a > score_b else "b", details)

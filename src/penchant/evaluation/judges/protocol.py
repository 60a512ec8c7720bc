"""What a judge is: anything with a name that answers comparisons, and says how it came to each answer.

Most judges stand in for a person. The DPO paper does the same in its controlled sentiment experiment, where a
classifier gives the true reward (arXiv 2305.18290, section 6): cheap, the same every time, and as narrow as its one
number.
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
    """What a judge says of one comparison, and in `details` how it came to it, as it is written beside the answer.

    scores: [of a, of b], of judges that score. orders: ["first" | "second" | "tie" | "both_bad" | None, ...], the place
    that was preferred with a in the first place and with b there, of judges that prefer; None where the reply could not
    be read. identical:
    both texts are the same, so nobody was asked. unreadable: why there is no score, or no reply (HTTP 400: ...). Of
    people: how many gave which answer.

    people: who answered, none where nobody needed to be asked; None for a stand-in.
    """

    outcome: Outcome
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    people: tuple[str, ...] | None = None


@runtime_checkable
class Judge(Protocol):
    """Anything with a name and a price that answers comparisons.

    It is asked about each comparison in both orders, unless it has an attribute `asks_once` that is true: it scores,
    asks in both orders itself, or answers in its own time.
    """

    @property
    def name(self) -> str:
        """What the ledger, the report and every answer call this judge: another name, another judge."""

    @property
    def price(self) -> str:
        """What an answer costs, in words."""

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """(place, judgement) of each comparison, each as soon as it is known, in any order; places count from 0.

        has_answered: an earlier call had answers from it.
        """


@runtime_checkable
class Scorer(Protocol):
    """Anything with a name and a score; a higher score is a better response."""

    @property
    def name(self) -> str:
        """What the ledger and the report call it."""

    def score(self, prompt: str, response: str) -> float:
        """A finite number for one response; the scale is the scorer's own."""


def decide(score_a: float, score_b: float, epsilon: float = 0.0) -> Judgement:
    """The side with the higher score; a tie where they differ by at most `epsilon`.

    Example:
        >>> decide(1.0, 0.5).outcome, decide(1.0, 0.5, epsilon=0.5).outcome
        ('a', 'tie')
    """
    details: dict[str, JsonValue] = {"scores": [score_a, score_b]}
    if abs(score_a - score_b) <= epsilon:
        return Judgement("tie", details)
    return Judgement("a" if score_a > score_b else "b", details)

"""Ask a judge that prefers one of two responses in both orders.

If the two orders disagree, the answer is a tie. A judge with a position bias chooses the same position twice, and the
share of such comparisons is its bias (L. Zheng and others, Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena,
arXiv 2306.05685, section 3.4).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import Literal

from penchant.data import Comparison
from penchant.data.records import Outcome
from penchant.errors import ConfigError
from penchant.evaluation.judges.protocol import Judge, Judgement, Scorer

__all__ = ["Place", "asks_once", "in_both_orders", "of_both_orders", "was_asked_once"]

Place = Literal["first", "second", "tie", "both_bad"]

IN_FIRST_ORDER: dict[Place, Outcome] = {"first": "a", "second": "b", "tie": "tie", "both_bad": "both_bad"}
IN_SECOND_ORDER: dict[Place, Outcome] = {"first": "b", "second": "a", "tie": "tie", "both_bad": "both_bad"}
PLACES: dict[Outcome, Place] = {"a": "first", "b": "second", "tie": "tie", "both_bad": "both_bad"}


def of_both_orders(places: Sequence[Place | None]) -> Judgement:
    """One judgement from the positions preferred with a first and with b first; None: the reply could not be read.

    Example:
        >>> of_both_orders(["first", "second"]).outcome, of_both_orders(["first", "first"]).outcome
        ('a', 'tie')
    """
    outcomes = [
        None if place is None else outcome_of[place]
        for place, outcome_of in zip(places, (IN_FIRST_ORDER, IN_SECOND_ORDER), strict=True)
    ]
    agreed = outcomes[0] if outcomes[0] == outcomes[1] else None
    return Judgement(agreed or "tie", {"orders": list(places)})


def asks_once(judge: Judge) -> bool:
    """Whether the judge needs only one question: it scores, asks in both orders itself, or is people."""
    return bool(getattr(judge, "asks_once", isinstance(judge, Scorer)))


def in_both_orders(
    judge: Judge, comparisons: Sequence[Comparison], *, has_answered: bool = False
) -> Generator[tuple[int, Judgement], None, None]:
    """(place, judgement) of each comparison, like `Judge.answers`; each is asked twice unless the judge `asks_once`.

    The two questions are adjacent in one call and have the same id; identical responses tie without being asked. The
    details hold `orders` beside the judge's own, of which those of the first question count. Raises ConfigError if the
    judge has asked in both orders already.
    """
    if asks_once(judge):
        yield from judge.answers(comparisons, has_answered=has_answered)
        return
    differ = []
    for place, one in enumerate(comparisons):
        if one.a.text == one.b.text:
            yield place, Judgement("tie", {"identical": True})
        else:
            differ.append(place)
    asked = [one for place in differ for one in (comparisons[place], _swapped(comparisons[place]))]
    said: dict[int, Judgement] = {}
    with closing(judge.answers(asked, has_answered=has_answered)) as judgements:
        for number, judgement in judgements:
            if "orders" in judgement.details:
                raise ConfigError(f"The judge {judge.name!r} asks in both orders itself; set its `asks_once` to True.")
            said[number] = judgement
            if number ^ 1 in said:
                first = number & ~1
                yield differ[number // 2], _together(said.pop(first), said.pop(first + 1))


def was_asked_once(details: Mapping[str, object]) -> bool:
    """Whether a judgement with these details was made in one order only, as earlier versions did for functions."""
    return not {"orders", "scores", "identical"} & details.keys()


def _swapped(comparison: Comparison) -> Comparison:
    return comparison.model_copy(update={"a": comparison.b, "b": comparison.a})


def _together(first: Judgement, second: Judgement) -> Judgement:
    found = of_both_orders([PLACES[first.outcome], PLACES[second.outcome]])
    return Judgement(found.outcome, {**second.details, **first.details, **found.details}, first.people)

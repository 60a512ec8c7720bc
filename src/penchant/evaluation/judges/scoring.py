"""Score many responses with any judge, in one call if it can; each score is a finite number, or an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from penchant.data import Message, shown
from penchant.errors import ConfigError
from penchant.evaluation.judges.protocol import Scorer

__all__ = ["Asked", "ManyScorer", "finite_score", "scores_of"]

Asked = tuple[Sequence[Message], str]
"""A conversation and a response to it."""


@runtime_checkable
class ManyScorer(Protocol):
    """A scorer of many responses at once, such as a model that batches them.

    It reads whole conversations; any other scorer gets only the last message.
    """

    def scores(self, asked: Sequence[Asked]) -> Sequence[float]:
        """A finite number for each, in order."""


def scores_of(judge: Scorer, asked: Sequence[Asked]) -> list[float]:
    """The score of every response. Raises ConfigError if one is missing or is not a finite number."""
    if isinstance(judge, ManyScorer):
        found: list[Any] = list(judge.scores(asked))
        if len(found) != len(asked):
            raise ConfigError(
                f"The judge {judge.name!r} gave {len(found)} scores for {len(asked)} responses; it must give one for "
                "each, in order."
            )
    else:
        found = [judge.score(shown(messages[-1]), text) for messages, text in asked]
    return [finite_score(judge.name, value, text) for value, (_, text) in zip(found, asked, strict=True)]


def finite_score(name: str, value: Any, response: str) -> float:
    """A judge's score as a float. Raises ConfigError if it is not a finite number."""
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError(
            f"The judge {name!r} returned {value!r:.80} for the response {response[:60]!r}; it must return a finite "
            "number."
        )
    return score

"""Judges made from a function: one that scores a response, or one that compares two."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from penchant.data import Comparison, shown
from penchant.data.records import Outcome
from penchant.errors import ConfigError
from penchant.evaluation.judges.protocol import Judgement, Scorer, decide
from penchant.evaluation.judges.scoring import finite_score
from penchant.extras import install
from penchant.wording import kind_and_reason_of

__all__ = ["JUDGES", "FunctionJudge", "PreferenceFunctionJudge", "positivity", "prefer"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class FunctionJudge:
    """A judge and scorer made from a function `(prompt, response) -> float`; the prompt is the last message.

    epsilon: scores that differ by at most this are a tie.

    Raises:
        ConfigError: from `score` and `answers`, when the function fails or returns something that is not a finite
            number.
    """

    name: str
    function: Callable[[str, str], Any]
    epsilon: float = 0.0
    price: ClassVar[str] = "nothing"
    asks_once: ClassVar[bool] = True

    def score(self, prompt: str, response: str) -> float:
        """The function's value as a float."""
        return finite_score(self.name, _called(self.name, self.function, prompt, response), response)

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield the side with the higher score, in order."""
        for place, comparison in enumerate(comparisons):
            yield place, self.judgement(comparison)

    def judgement(self, comparison: Comparison) -> Judgement:
        """The side with the higher score."""
        prompt = shown(comparison.prompt[-1])
        a, b = (self.score(prompt, side.text) for side in (comparison.a, comparison.b))
        return decide(a, b, self.epsilon)


@dataclass(frozen=True)
class PreferenceFunctionJudge:
    """A judge made from a function `(prompt, a, b) -> "a", "b", "tie" or "both_bad"`; the prompt is the last message.

    It answers one question at a time; `in_both_orders` asks it in both orders.

    Raises:
        ConfigError: from `answers`, when the function fails or returns anything else.
    """

    name: str
    function: Callable[[str, str, str], Any]
    price: ClassVar[str] = "two calls a comparison"

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield the function's answers, in order."""
        for place, comparison in enumerate(comparisons):
            prompt, a, b = shown(comparison.prompt[-1]), comparison.a.text, comparison.b.text
            said = _called(self.name, self.function, prompt, a, b)
            if said not in OUTCOMES:
                raise ConfigError(
                    f"The judge {self.name!r} returned {said!r:.80} for the responses {a[:60]!r} and {b[:60]!r}; it "
                    f"must return one of {', '.join(map(repr, OUTCOMES))}."
                )
            yield place, Judgement(said)


def positivity() -> FunctionJudge:
    """How positive the words of a response are: VADER's compound score, from -1 (negative) to 1 (positive).

    VADER is a lexicon of rated words with rules for negation and emphasis (Hutto and Gilbert, ICWSM 2014). It does not
    understand meaning: it ignores irony, facts and the prompt, and a model can learn to please it with cheerful words
    alone. It is a free stand-in for a person, not a measure of quality.

    Raises:
        ConfigError: the package vaderSentiment is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package uses a function that newer Pythons deprecate
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError as error:
            raise ConfigError(
                "The judge 'positivity' needs the package vaderSentiment, which is not installed; "
                f"{install('sentiment')}."
            ) from error
        analyzer = SentimentIntensityAnalyzer()
    return FunctionJudge("positivity", lambda prompt, response: analyzer.polarity_scores(response)["compound"])


JUDGES: dict[str, Callable[[], FunctionJudge]] = {"positivity": positivity}
"""The built-in judges, by name."""


def prefer(judge: Scorer, prompt: str, a: str, b: str) -> Literal["a", "b", "tie"]:
    """The response with the higher score; equal scores tie.

    Raises:
        ConfigError: a score is not a finite number, which would otherwise count as a tie.
    """
    score_a = finite_score(judge.name, judge.score(prompt, a), a)
    score_b = finite_score(judge.name, judge.score(prompt, b), b)
    if score_a == score_b:
        return "tie"
    return "a" if score_a > score_b else "b"


def _called(name: str, function: Callable[..., Any], prompt: str, *responses: str) -> Any:
    try:
        return function(prompt, *responses)
    except Exception as error:  # the user's function may fail in any way
        of = f"the response {responses[0][:60]!r}" if len(responses) == 1 else f"the responses {list(responses)!r:.120}"
        raise ConfigError(
            f"The judge {name!r} failed ({kind_and_reason_of(error)}) on {of}; fix the function."
        ) from error

"""Judges: whatever answers comparisons in a person's place, and the simplest of them, functions that give a score.

A judge stands in for a person. The DPO paper does the same in its controlled sentiment experiment, where a classifier
gives the true reward (arXiv 2305.18290, section 6): cheap, the same every time, and as narrow as its one number.
The other kinds are `judging_reward.py` (the reward that a trained model holds) and `judging_endpoint.py` (a language
model that is asked).
"""

import importlib
import math
import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import JsonValue

from penchant.data.records import Comparison, Outcome, shown
from penchant.errors import ConfigError
from penchant.extras import install
from penchant.wording import kind_and_reason_of, nearest

__all__ = [
    "JUDGES",
    "FunctionJudge",
    "Judge",
    "JudgeAtOnce",
    "Judgement",
    "Scorer",
    "decide",
    "load_judge",
    "positivity",
    "prefer",
]


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one comparison, and in `details` how it came to it, as it is written beside the answer.

    scores: [of a, of b], of judges that score. orders: ["first" | "second" | "tie" | "both_bad" | None, ...], the place
    that was preferred with a in the first place and with b there, None where the reply could not be read. identical:
    both texts are the same, so nobody was asked. unreadable: why there is no score, or no reply (HTTP 400: ...).
    """

    outcome: Outcome
    details: Mapping[str, JsonValue] = field(default_factory=dict)


class Judge(Protocol):
    """Anything with a name that answers comparisons."""

    @property
    def name(self) -> str:
        """What the ledger, the report and every answer call this judge: another name, another judge."""

    def answers(self, comparisons: Sequence[Comparison]) -> Iterator[Judgement]:
        """One judgement for each comparison, in order, each as soon as it is known."""


@runtime_checkable
class JudgeAtOnce(Judge, Protocol):
    """A judge that is asked several comparisons at once, and would lose answers if each had to wait for its turn."""

    def as_they_come(
        self, comparisons: Sequence[Comparison], *, has_answered: bool
    ) -> Generator[tuple[int, Judgement], None, None]:
        """(place, judgement) of each comparison, in any order. has_answered: an earlier call had answers from it."""


class Scorer(Protocol):
    """Anything with a name and a score; a higher score is a better response."""

    @property
    def name(self) -> str:
        """What the ledger and the report call it."""

    def score(self, prompt: str, response: str) -> float:
        """A finite number for one response; the scale is the scorer's own."""


@dataclass(frozen=True)
class FunctionJudge:
    """A judge, and a scorer, made of a function `(prompt, response) -> float`; the prompt is its last message.

    epsilon: scores that differ by at most this tie.

    Raises:
        ConfigError: from `score` and `answers`, when the function fails or returns something that is not a finite
            number.
    """

    name: str
    function: Callable[[str, str], Any]
    epsilon: float = 0.0

    def score(self, prompt: str, response: str) -> float:
        """The function's value as a float."""
        try:
            value = self.function(prompt, response)
        except Exception as error:  # the user's own function may fail in any way
            raise ConfigError(
                f"The judge {self.name!r} failed ({kind_and_reason_of(error)}) on the response "
                f"{response[:60]!r}; mend the function."
            ) from error
        return _finite(self.name, value, response)

    def answers(self, comparisons: Sequence[Comparison]) -> Iterator[Judgement]:
        """The side with the higher score."""
        for comparison in comparisons:
            prompt = shown(comparison.prompt[-1])
            yield decide(self.score(prompt, comparison.a.text), self.score(prompt, comparison.b.text), self.epsilon)


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


def positivity() -> FunctionJudge:
    """How positive the words of a response are: VADER's compound score, from -1 (gloomy) to 1 (sunny).

    VADER is a lexicon of rated words with rules for negation and emphasis (Hutto and Gilbert, ICWSM 2014). It reads no
    meaning: irony, facts and the prompt are lost on it, and a model can learn to please it with cheerful words alone.
    It is a stand-in for a person that anybody can run, not a measure of quality.

    Raises:
        ConfigError: the package vaderSentiment is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package reads its lexicon in a way that newer Pythons deprecate
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError as error:
            raise ConfigError(
                "The judge 'positivity' needs the package vaderSentiment, which is not installed: "
                f"{install('sentiment')}."
            ) from error
        analyzer = SentimentIntensityAnalyzer()
    return FunctionJudge("positivity", lambda prompt, response: analyzer.polarity_scores(response)["compound"])


JUDGES: dict[str, Callable[[], FunctionJudge]] = {"positivity": positivity}


def load_judge(spec: str) -> FunctionJudge:
    """The judge called `spec`: a name of JUDGES, or `module:function` for a function of your own.

    `module:function` imports the module, which RUNS ITS CODE, so take it only from an option that the user typed, never
    from a data file or a downloaded configuration. The module is looked for where Python looks, then in the current
    folder. The function is called as `function(prompt, response)` and returns a number, higher for better.

    Raises:
        ValueError: `spec` is neither a known name nor of the form `module:function`.
        ConfigError: the module or the function is not there, or a package the judge needs is missing.
    """
    if ":" in spec:
        return _import_judge(spec)
    if spec not in JUDGES:
        close = nearest(spec, JUDGES)
        hint = f"did you mean {close!r}?" if close else f"use one of {', '.join(JUDGES)}, or module:function."
        raise ValueError(f"There is no judge {spec!r}: {hint}")
    return JUDGES[spec]()


def prefer(judge: Scorer, prompt: str, a: str, b: str) -> Literal["a", "b", "tie"]:
    """Which of two responses the scorer puts higher; equal scores tie.

    Raises:
        ConfigError: a score is not a finite number, which would otherwise pass for a tie.
    """
    score_a = _finite(judge.name, judge.score(prompt, a), a)
    score_b = _finite(judge.name, judge.score(prompt, b), b)
    if score_a == score_b:
        return "tie"
    return "a" if score_a > score_b else "b"


def _import_judge(spec: str) -> FunctionJudge:
    module_name, _, function_name = spec.partition(":")
    if not module_name or module_name.startswith(".") or not function_name.isidentifier():
        raise ValueError(f"The judge {spec!r} is not of the form module:function, such as my_judges:brevity.")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, so that a file here never hides an installed package
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's own file may fail in any way while it is imported
        raise ConfigError(
            f"The judge {spec!r} cannot be imported ({kind_and_reason_of(error)}); "
            f"mend the module, or run where Python finds it: its path, then {os.getcwd()}."
        ) from error
    function = getattr(module, function_name, None)
    if function is None:
        raise ConfigError(
            f"The judge {spec!r} is not there: {module.__file__} has no {function_name!r}; check its name."
        )
    if not callable(function):
        raise ConfigError(
            f"The judge {spec!r} is a {type(function).__name__}, not a function; name a function of (prompt, response)."
        )
    return FunctionJudge(spec, function)


def _finite(name: str, value: Any, response: str) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise ConfigError(
            f"The judge {name!r} returned {value!r} for the response {response[:60]!r}; it must return a finite number."
        )
    return score

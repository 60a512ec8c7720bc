"""Choose which two answers of a list become a pair: all, best and worst, best and a random one, or neighbours.

Two answers make a pair if their scores differ by at least `min_gap`. Answers with the same text count as one answer
with the mean of their scores; an empty answer and an answer without a score are in no pair.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, isfinite
from statistics import fmean
from typing import Literal, TypeVar, get_args

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.derived import gap_between
from penchant.data.records import PreferencePair, Response, prompt_key, response_key
from penchant.data.verdicts import CODES, BadRow
from penchant.errors import ConfigError
from penchant.wording import shown

__all__ = [
    "ALL_PAIRS",
    "BEST_WORST",
    "MOST_PAIRS",
    "Pairing",
    "PairingRule",
    "Scored",
    "apart",
    "choose_pairs",
    "from_lists",
    "pairs_of_list",
]

PairingRule = Literal["all", "best_worst", "best_random", "adjacent"]
MOST_PAIRS = 10_000
"""The most pairs of one list; if "all" would make more, the list is refused."""
Scored = tuple[float, Response]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Pairing:
    """How a list becomes pairs.

    rule: "all" takes every two answers; "best_worst" the best and the worst; "best_random" the best and one of the
    others, chosen by a hash of the prompt; "adjacent" every two answers with no other score between theirs. min_gap:
    the smallest difference of two scores, or ranks, that makes a pair; with 0 any difference does.

    Raises ConfigError for an unknown rule, and for a gap that is not a number >= 0.
    """

    rule: PairingRule = "all"
    min_gap: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in get_args(PairingRule):
            raise ConfigError(f"pairing must be {', '.join(get_args(PairingRule))}, got {shown(self.rule)}.")
        number = isinstance(self.min_gap, int | float) and not isinstance(self.min_gap, bool)
        if not number or not isfinite(self.min_gap) or self.min_gap < 0:
            raise ConfigError(f"min_gap must be a number that is at least 0, got {shown(self.min_gap)}.")


ALL_PAIRS = Pairing()
BEST_WORST = Pairing("best_worst")


def from_lists(lists: Iterable[AnswerList], of_list: Callable[[AnswerList], Iterable[Made]]) -> tuple[Made, ...]:
    """The pairs of all lists of a row. Raises the first list's BadRow if none makes a pair."""
    pairs: list[Made] = []
    why: BadRow | None = None
    for one in lists:
        try:
            pairs += of_list(one)
        except BadRow as bad:
            why = why or bad
    if why and not pairs:
        raise why
    return tuple(pairs)


def pairs_of_list(one: AnswerList, pairing: Pairing) -> tuple[PreferencePair, ...]:
    """The pairs of a list, best chosen answer first. Raises BadRow, of no severity, if there are none."""
    return tuple(
        PreferencePair(
            prompt=one.prompt,
            chosen=better,
            rejected=worse,
            gap=gap_between(high, low),
            name=one.name,
            origin=one.origin,
        )
        for (high, better), (low, worse) in choose_pairs(one, pairing)
    )


def choose_pairs(one: AnswerList, pairing: Pairing) -> list[tuple[Scored, Scored]]:
    """The same with their scores, each pair the better answer first."""
    ranked = _ranked(one.answers)
    gap = ranked[0][0] - ranked[-1][0]
    if not gap:
        raise BadRow("tie", f"its {len(ranked)} answers have the same score", "nothing to fix")
    if pairing.rule == "all" and comb(len(ranked), 2) > MOST_PAIRS:
        reason = f"its {len(ranked):,} answers make more than {MOST_PAIRS:,} pairs"
        raise BadRow("bad_type", reason, 'choose another rule, as `pairing="best_worst"`')
    pairs = _far_enough(_by_rule(one, ranked, pairing), pairing)
    if not pairs:
        reason = f"no two answers that the rule pairs are min_gap ({pairing.min_gap:g}) apart (best and worst: {gap:g})"
        raise BadRow("small_gap", reason, "lower min_gap to use the row")
    return pairs


def _ranked(answers: Sequence[Answer]) -> list[Scored]:
    """The distinct answers with a text and a score, best first; ties are ordered by text."""
    if len(answers) < 2:
        raise BadRow("one_answer", f"its list holds {_num(len(answers))}, and a pair needs two", "nothing to fix")
    if all(answer.score is None for answer in answers):
        raise BadRow("no_scores", CODES["no_scores"].meaning, "nothing to fix")
    keyed = ((answer.score, response_key(answer.response), answer.response) for answer in apart(answers))
    scored = [(score, key, response) for score, key, response in keyed if score is not None and key]
    if len(scored) < 2:
        reason = f"it has {len(answers)} answers but fewer than two different texts with a score, and a pair needs two"
        raise BadRow("one_answer", reason, "nothing to fix")
    return [(score, response) for score, _, response in sorted(scored, key=lambda one: (-one[0], one[1]))]


def apart(answers: Iterable[Answer]) -> list[Answer]:
    """The distinct answers, in order; answers with the same text become one with the mean of their scores."""
    alike: dict[str, list[Answer]] = {}
    for answer in answers:
        alike.setdefault(response_key(answer.response), []).append(answer)
    return [_as_one(held) for held in alike.values()]


def _as_one(alike: list[Answer]) -> Answer:
    scores = [answer.score for answer in alike if answer.score is not None]
    return alike[0] if len(alike) == 1 else alike[0].model_copy(update={"score": fmean(scores) if scores else None})


def _by_rule(one: AnswerList, ranked: list[Scored], pairing: Pairing) -> list[tuple[Scored, Scored]]:
    best = ranked[0]
    if pairing.rule == "best_worst":
        return [(best, ranked[-1])]
    if pairing.rule == "best_random":
        others = _far_enough([(best, other) for other in ranked[1:]], pairing)
        number = int(hashlib.sha256(prompt_key(one.prompt).encode()).hexdigest()[:16], 16)
        return [others[number % len(others)]] if others else []
    pairs = list(combinations(ranked, 2))
    if pairing.rule == "adjacent":
        levels = sorted({score for score, _ in ranked}, reverse=True)
        return [(a, b) for a, b in pairs if levels.index(b[0]) - levels.index(a[0]) == 1]
    return pairs


def _far_enough(pairs: list[tuple[Scored, Scored]], pairing: Pairing) -> list[tuple[Scored, Scored]]:
    return [(a, b) for a, b in pairs if a[0] - b[0] > 0 and a[0] - b[0] >= pairing.min_gap]


def _num(number: int) -> str:
    return "1 answer" if number == 1 else f"{number} answers"

"""Measure how reliable each annotator is, and how noisy labels are: shares of counted answers, with intervals.

Disagreement with others is not an error: it can be taste. Read these numbers beside the answers.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from penchant.data.records import Comparison
from penchant.feedback.details import UNKNOWN
from penchant.feedback.training import detail

__all__ = [
    "LabelNoise",
    "Reliability",
    "Share",
    "label_noise",
    "named_votes",
    "position_bias",
    "reliability",
    "share",
]


@dataclass(frozen=True)
class Share:
    """`hits` of `num`, the share, and its 95 % interval; None if num is 0."""

    hits: int
    num: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Reliability:
    """One annotator.

    num_answers: answers of every kind except adjudication. gold: right answers to gold tasks. self_agreement: repeats
    answered as before. too_fast: flagged answers; corrections are never flagged. with_majority: among `named_votes`,
    those equal to the most common vote of the others on the task, if there is one. first_side: answers of a or b that
    prefer the side shown first; an interval that excludes one half indicates position bias.
    """

    annotator: str
    num_answers: int
    gold: Share
    self_agreement: Share
    too_fast: Share
    with_majority: Share
    first_side: Share


@dataclass(frozen=True)
class LabelNoise:
    """Label noise from repeats: how often the same person reversed a preference, and the noise this implies.

    label_smoothing: the suggested value; None if no repeat was a preference both times, or if at least half of them
    changed, so that answers are no better than random. low and high: its limits, from the interval of `changed`.
    """

    changed: Share
    label_smoothing: float | None
    low: float | None
    high: float | None


def share(hits: int, num: int, confidence: float = 0.95) -> Share:
    """A share with Wilson's interval (E. B. Wilson, 1927), which is valid for small numbers and shares near 0 and 1.

    Example:
        >>> got = share(8, 10)
        >>> got.value, round(got.low, 3), round(got.high, 3)
        (0.8, 0.49, 0.943)
    """
    if num == 0:
        return Share(0, 0, None, None, None)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = hits / num
    centre = (p + z**2 / (2 * num)) / (1 + z**2 / num)
    reach = z / (1 + z**2 / num) * math.sqrt(p * (1 - p) / num + z**2 / (4 * num**2))
    return Share(hits, num, p, max(centre - reach, 0.0), min(centre + reach, 1.0))


def reliability(comparisons: Iterable[Comparison]) -> list[Reliability]:
    """The reliability of every annotator, most answers first; comparisons are a store's current answers."""
    answers = [c for c in comparisons if c.outcome is not None and _kind(c) != "adjudication"]
    votes = named_votes(answer for answer in answers if _kind(answer) == "main")
    by_annotator = defaultdict(list)
    for answer in answers:
        by_annotator[answer.annotator or UNKNOWN].append(answer)
    found = [_of(name, own, votes) for name, own in by_annotator.items()]
    return sorted(found, key=lambda one: -one.num_answers)


def named_votes(main: Iterable[Comparison]) -> dict[str, dict[str, str]]:
    """By task, each person's latest vote.

    Anonymous answers are left out, because it is unknown whether two are from the same person.
    """
    votes: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for answer in main:
        name = answer.annotator
        if answer.outcome is not None and name is not None and name != UNKNOWN:
            votes[answer.id][name] = answer.outcome
    return dict(votes)


def position_bias(answers: Iterable[Comparison]) -> Share:
    """The share of preferences for the side shown first; one half without bias, whatever the answers."""
    placed = [c for c in answers if c.outcome in ("a", "b") and c.shown_first is not None]
    return share(sum(c.outcome == c.shown_first for c in placed), len(placed))


def label_noise(comparisons: Iterable[Comparison]) -> LabelNoise:
    """The rate of flipped labels, from pairs on which the same person preferred a side twice.

    If each answer is flipped independently with probability e, two answers differ with probability d = 2 e (1 - e), so
    e = (1 - sqrt(1 - 2 d)) / 2: the label_smoothing of conservative DPO (E. Mitchell, A note on DPO with noisy
    preferences, 2023). Systematic errors of a person do not show in repeats, so this is a lower bound on noise.

    Example:
        >>> label_noise([]).label_smoothing is None
        True
    """
    pairs = [pair for pair in _repeated(comparisons) if all(c.outcome in ("a", "b") for c in pair)]
    changed = share(sum(first.outcome != again.outcome for first, again in pairs), len(pairs))
    if changed.value is None or changed.value >= 0.5:
        return LabelNoise(changed, None, None, None)
    return LabelNoise(changed, *(_flip_rate(d) for d in (changed.value, changed.low, changed.high)))


def _flip_rate(d: float | None) -> float:
    return (1 - math.sqrt(max(1 - 2 * (d or 0.0), 0.0))) / 2


def _repeated(comparisons: Iterable[Comparison]) -> list[tuple[Comparison, Comparison]]:
    """(main answer, repeat) of one person on one task."""
    answers = [c for c in comparisons if c.outcome is not None]
    first = {(c.annotator, c.id): c for c in answers if _kind(c) == "main"}
    again = [c for c in answers if _kind(c) == "repeat" and (c.annotator, c.id) in first]
    return [(first[c.annotator, c.id], c) for c in again]


def _of(name: str, own: Sequence[Comparison], votes: dict[str, dict[str, str]]) -> Reliability:
    gold = [c for c in own if _kind(c) == "gold"]
    repeated = _repeated(own)
    on_tasks = [votes[task_id] for task_id in {c.id for c in own} & votes.keys() if name in votes[task_id]]
    with_others = [(said[name], most) for said in on_tasks if (most := _most_others(name, said)) is not None]
    flagged = ["too_fast" in _flags(c) for c in own]
    return Reliability(
        annotator=name,
        num_answers=len(own),
        gold=share(sum(c.outcome == detail(c, "gold") for c in gold), len(gold)),
        self_agreement=share(sum(first.outcome == again.outcome for first, again in repeated), len(repeated)),
        too_fast=share(sum(flagged), len(flagged)),
        with_majority=share(sum(mine == most for mine, most in with_others), len(with_others)),
        first_side=position_bias(own),
    )


def _most_others(name: str, on_task: dict[str, str]) -> str | None:
    """The most common vote of the others; None if there is none, or a tie."""
    ranked = Counter(outcome for other, outcome in on_task.items() if other != name).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _kind(comparison: Comparison) -> str:
    return str(detail(comparison, "kind") or "main")


def _flags(comparison: Comparison) -> Sequence[str]:
    flags = detail(comparison, "flags")
    return flags if isinstance(flags, list) else ()

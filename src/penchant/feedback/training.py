"""Convert votes to training pairs: one pair for each task whose voters prefer one side.

A task's votes are its main answers and the verdict of an admin if there is one. Answers to gold tasks and to repeats
check annotators and are left out: a person's vote on a task counts once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from penchant.data.records import Comparison, PreferencePair
from penchant.errors import ConfigError
from penchant.feedback.details import ANSWER_FIELD

__all__ = ["How", "TrainingPairs", "detail", "training_pairs", "verdict", "votes_by_task"]

How = Literal["majority", "soft"]


@dataclass(frozen=True)
class TrainingPairs:
    """Pairs in the order of their tasks' first answers, and counts of all tasks.

    counts: tasks = pairs + tied (no outcome has the most votes, or equally many for a and b) + tie + both_bad (these
    outcomes have the most votes); and answers = votes + gold + repeat + unanswered, the last three not used.
    """

    pairs: tuple[PreferencePair, ...]
    counts: dict[str, int]


def training_pairs(
    comparisons: Iterable[Comparison], how: How = "majority", *, weighted: bool = False
) -> TrainingPairs:
    """Make pairs from the votes on each task.

    majority: the outcome with the most votes decides, or a verdict alone; a makes a chosen, b makes b chosen.
    Two outcomes with equally many votes, tie and both_bad make no pair.

    soft: p(a > b) = (wins of a + ties / 2 + 1/2) / (n + 1) over the n votes that are not both_bad: the Bradley-Terry
    probability of two items with half a phantom win for each, which keeps p off 0 and 1. A verdict is one more vote.
    chosen is the likelier side and `probability` its p. If both_bad has the most votes, or p is 1/2, there is no pair.

    weighted: weight a pair by the mean of 1 / probability over its votes (the probability with which the task was
    chosen for the annotator), scaled to a mean of 1 over the pairs: uncertain tasks, asked more often, then count as
    if all had been drawn uniformly (inverse-propensity weights; D. G. Horvitz and D. J. Thompson, 1952). It is right
    while a small share of the tasks is answered; once all are, leave it out: no task is over-represented.

    Raises ConfigError for an unknown `how`, and with `weighted` if a vote has no recorded probability.

    Example:
        >>> from penchant.data.records import Candidate, Message
        >>> asked = {"id": "sun", "prompt": (Message(role="user", content="What is the sun?"),)}
        >>> asked |= {"a": Candidate(text="A star."), "b": Candidate(text="A lamp.")}
        >>> votes = [Comparison(**asked, outcome=outcome) for outcome in ("a", "a", "b")]
        >>> pair = training_pairs(votes, "soft").pairs[0]
        >>> pair.chosen, pair.probability
        ('A star.', 0.625)
    """
    if how not in get_args(How):
        raise ConfigError(f"votes become pairs by majority or by soft labels, got {how!r}; choose majority or soft")
    votes, counts = votes_by_task(comparisons)
    pairs, weights = [], []
    for on_task in votes.values():
        pair, code = (_majority_pair if how == "majority" else _soft_pair)(on_task)
        counts[code] += 1
        if pair is not None:
            pairs.append(pair)
            weights.append(_weight(on_task) if weighted else 1.0)
    if weighted and pairs:
        mean = sum(weights) / len(weights)
        pairs = [pair.model_copy(update={"weight": w / mean}) for pair, w in zip(pairs, weights, strict=True)]
    names = ("tasks", "pairs", "tied", "tie", "both_bad", "answers", "votes", "gold", "repeat", "unanswered")
    return TrainingPairs(tuple(pairs), {name: counts[name] for name in names})


def votes_by_task(comparisons: Iterable[Comparison]) -> tuple[dict[str, list[Comparison]], Counter[str]]:
    """The votes of each task, in order of the first, and counts of answers by use."""
    votes: defaultdict[str, list[Comparison]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for comparison in comparisons:
        kind = "unanswered" if comparison.outcome is None else detail(comparison, "kind") or "main"
        used = kind in ("main", "adjudication")
        counts.update(["answers", "votes" if used else str(kind)])
        if used:
            votes[comparison.id].append(comparison)
    counts["tasks"] = len(votes)
    return dict(votes), counts


def verdict(votes: Sequence[Comparison]) -> str:
    """The majority of the votes on one task: a, b, tie, both_bad, or "tied" if two outcomes lead."""
    settled = [vote for vote in votes if detail(vote, "kind") == "adjudication"]
    ranked = Counter(str(vote.outcome) for vote in settled or votes).most_common(2)
    return "tied" if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def detail(comparison: Comparison, name: str) -> object:
    """A detail that the store records for an answer, such as its kind; None for a comparison from elsewhere."""
    details = comparison.meta.get(ANSWER_FIELD)
    return details.get(name) if isinstance(details, dict) else None


def _majority_pair(votes: Sequence[Comparison]) -> tuple[PreferencePair | None, str]:
    winner = verdict(votes)
    return (_pair(votes[0], winner, 1.0), "pairs") if winner in ("a", "b") else (None, winner)


def _soft_pair(votes: Sequence[Comparison]) -> tuple[PreferencePair | None, str]:
    counts = Counter(vote.outcome for vote in votes)
    if counts["both_bad"] > max(counts["a"], counts["b"], counts["tie"]):
        return None, "both_bad"
    num = counts["a"] + counts["b"] + counts["tie"]
    p = (counts["a"] + counts["tie"] / 2 + 0.5) / (num + 1)
    if counts["a"] == counts["b"]:
        return None, "tie" if counts["tie"] > max(counts["a"], counts["both_bad"]) else "tied"
    return _pair(votes[0], "a" if p > 0.5 else "b", max(p, 1 - p)), "pairs"


def _pair(asked: Comparison, winner: str, probability: float) -> PreferencePair:
    chosen, rejected = (asked.a.text, asked.b.text) if winner == "a" else (asked.b.text, asked.a.text)
    return PreferencePair(prompt=asked.prompt, chosen=chosen, rejected=rejected, probability=probability)


def _weight(votes: Sequence[Comparison]) -> float:
    """Mean of 1 / probability over the main votes; a verdict was not sampled."""
    drawn = [vote for vote in votes if detail(vote, "kind") != "adjudication"] or votes
    inverse = []
    for vote in drawn:
        probability = detail(vote, "probability")
        if not isinstance(probability, int | float):
            raise ConfigError(
                f"task {vote.id}: an answer does not say with which probability its task was chosen, which imported "
                "answers never do; leave `weighted=...` out"
            )
        inverse.append(1 / probability)
    return sum(inverse) / len(inverse)

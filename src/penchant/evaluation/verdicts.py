"""A judge's verdicts on two answers to each prompt, asked once or several times.

A judge that scores is asked about every answer separately. Any other judge sees both, the newer one first or second by
a coin toss fixed by seed and prompt; an endpoint is asked in both orders as well.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from penchant import ranks
from penchant.data import Candidate, Comparison, Prompt
from penchant.evaluation.judges.counts import Tally, tally
from penchant.evaluation.judges.judging import judge_comparisons
from penchant.evaluation.judges.protocol import Judge, Scorer
from penchant.evaluation.judges.scoring import scores_of
from penchant.progress import Reporter, counted
from penchant.ranking.winrate import WinRate, win_rate_of

__all__ = ["Two", "Verdicts", "ask"]


@dataclass(frozen=True)
class Two:
    """A prompt and each model's answer to it."""

    prompt: Prompt
    before: str
    after: str


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on N answers of each model, asked K times.

    credits: K rows of N: 1 if the newer answer was preferred, 0 if the older one was, else 1/2. scores: N pairs
    (before, after), the means over repetitions; None for a judge without scores. tally: counts of the first repetition,
    if both answers were shown.
    """

    credits: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, float], ...] | None
    tally: Tally | None

    def repeatability(self, prompts: Sequence[str]) -> WinRate | None:
        """How often two repetitions of a question gave the same answer; None if asked once.

        prompts: N ids that cluster the interval.
        """
        pairs = list(combinations(self.credits, 2))
        if not pairs:
            return None
        same = [float(one == other) for first, second in pairs for one, other in zip(first, second, strict=True)]
        return win_rate_of(same, [*prompts] * len(pairs))


def ask(judge: Judge | Scorer, both: Sequence[Two], *, repeats: int, seed: int, reporter: Reporter) -> Verdicts:
    """Collect the judge's verdicts; with several ranks, only the first asks. Raises UserError if the judge fails."""
    if isinstance(judge, Scorer):
        return _scored(judge, both, repeats)
    return _shown(judge, both, repeats, seed, reporter)


def _scored(judge: Scorer, both: Sequence[Two], repeats: int) -> Verdicts:
    asked = [(two.prompt.messages, text) for two in both for text in (two.before, two.after)]
    found = ranks.first(lambda: [scores_of(judge, asked) for _ in range(repeats)])
    credits = tuple(
        tuple(0.5 + 0.5 * ((new > old) - (new < old)) for old, new in zip(scores[::2], scores[1::2], strict=True))
        for scores in found
    )
    means = [sum(scores) / repeats for scores in zip(*found, strict=True)]
    return Verdicts(credits, tuple(zip(means[::2], means[1::2], strict=True)), None)


def _shown(judge: Judge, both: Sequence[Two], repeats: int, seed: int, reporter: Reporter) -> Verdicts:
    is_first = [random.Random(f"{seed}\n{place}\n{two.prompt.id}").random() < 0.5 for place, two in enumerate(both)]
    comparisons = [
        Comparison(
            id=f"{two.prompt.id}/{place}",
            prompt=two.prompt.messages,
            a=Candidate(text=two.after if first else two.before),
            b=Candidate(text=two.before if first else two.after),
        )
        for place, (two, first) in enumerate(zip(both, is_first, strict=True))
    ]

    def answered() -> list[list[str]]:
        found = [
            judge_comparisons(judge, comparisons, on_progress=counted(reporter, "judging")) for _ in range(repeats)
        ]
        return [[one.model_dump_json() for one in answers] for answers in found]

    asked = [[Comparison.model_validate_json(one) for one in answers] for answers in ranks.first(answered)]
    credits = tuple(
        tuple(_credit(answer, first) for answer, first in zip(answers, is_first, strict=True)) for answers in asked
    )
    return Verdicts(credits, None, tally(asked[0]))


def _credit(answer: Comparison, is_first: bool) -> float:
    """1 if the newer answer was preferred, 0 if the older was; 1/2 for a tie and both_bad."""
    return {"a": float(is_first), "b": float(not is_first)}.get(str(answer.outcome), 0.5)

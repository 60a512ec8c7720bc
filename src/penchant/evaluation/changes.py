"""How the answers themselves changed, whatever a judge thinks of them: longer, cut off, repetitive, alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from penchant.data import Prompt
from penchant.evaluation.answers import Answers
from penchant.ranking.winrate import PairedMeans, paired_means
from penchant.statistics import distinct, repetition

__all__ = ["Change", "changes"]


@dataclass(frozen=True)
class Change:
    """A measure of answers before and after on the same prompts, and the difference with its 95% interval."""

    name: str
    means: PairedMeans


def changes(prompts: Sequence[Prompt], before: Answers, after: Answers) -> tuple[Change, ...]:
    """Length in tokens, share ended by the model, share of repeated 4-grams, and distinct-2 of a prompt's answers.

    The last needs several answers to a prompt. Each is a mean over the prompts, in which all answers to one are one.
    """
    ids = [prompt.id for prompt in prompts]
    found = []
    if all(side.responses for side in (before, after)):
        tokens = [[fmean(len(r.token_ids) for r in side.responses[i]) for i in ids] for side in (before, after)]
        ended = [[fmean(r.finished for r in side.responses[i]) for i in ids] for side in (before, after)]
        found += [Change("tokens", paired_means(*tokens)), Change("ended", paired_means(*ended))]
    words = [[[text.split() for text in side.texts[i]] for i in ids] for side in (before, after)]
    repeated = [[fmean(map(repetition, answers)) for answers in side] for side in words]
    found.append(Change("repeated", paired_means(*repeated)))
    if min(len(answers) for side in words for answers in side) > 1:
        found.append(Change("distinct", paired_means(*([distinct(answers) for answers in side] for side in words))))
    return tuple(found)

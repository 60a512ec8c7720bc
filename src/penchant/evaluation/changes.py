"""Measure how answers changed, independently of any judge: length, truncation, repetition, diversity, entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Length in tokens, share ended by the model, repeated 4-grams, distinct-2 of a prompt's answers, and entropy.

    Distinct-2 needs several answers per prompt; length, end and entropy need the tokens of both sides. Each measure is
    a mean over prompts, with all answers to a prompt averaged. The interval of the share that ended is Tango's for the
    answers paired in order; the others' is that of a mean over prompts (`paired_means`).
    """
    words = [{p.id: [text.split() for text in side.texts[p.id]] for p in prompts} for side in (before, after)]
    repeated = [{key: [repetition(one) for one in answers] for key, answers in side.items()} for side in words]
    is_one = any(len(answers) == 1 for side in words for answers in side.values())
    varied = [{} if is_one else {key: [distinct(answers)] for key, answers in side.items()} for side in words]
    sides: dict[str, Sequence[Mapping[str, Sequence[float]]]] = {
        "tokens": (before.num_tokens, after.num_tokens),
        "ended": (before.finished, after.finished),
        "repeated": repeated,
        "distinct": varied,
        "entropy": (before.entropy, after.entropy),
    }
    ids = [prompt.id for prompt in prompts]
    return tuple(
        Change(name, _ended(ids, *both) if name == "ended" else paired_means(*(_means(ids, side) for side in both)))
        for name, both in sides.items()
        if all(both)
    )


def _means(ids: Sequence[str], side: Mapping[str, Sequence[float]]) -> list[float]:
    return [fmean(side[one]) for one in ids]


def _ended(
    ids: Sequence[str], before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]]
) -> PairedMeans:
    """If prompts differ in their number of answers, each prompt's weight of 1 is divided among its answers."""
    both = [
        (float(old), float(new), one, 1 / len(before[one]))
        for one in ids
        for old, new in zip(before[one], after[one], strict=True)
    ]
    old, new, prompts, weights = zip(*both, strict=True)
    return paired_means(old, new, prompts, are_shares=True, weights=weights)

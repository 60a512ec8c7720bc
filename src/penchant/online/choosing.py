"""Choose pairs among the policy's fresh responses, by a judge's scores or by its preferences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from penchant import ranks
from penchant.data import Candidate, Comparison
from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.pairing import Pairing, choose_pairs
from penchant.data.verdicts import BadRow
from penchant.evaluation.judges import Judge, Scorer
from penchant.online.writing import Written

__all__ = ["Chosen", "chosen_of"]

Chosen = tuple[Written, Written]
"""The better and the worse response."""


def chosen_of(judge: Scorer | Judge, written: Sequence[Written], pairing: Pairing) -> list[Chosen]:
    """The pairs of every prompt's responses; none for a prompt whose responses are equal, or none is preferred.

    A judge without scores is asked about the first and the second response, the third and the fourth, and so on.
    Responses with the same text count once.
    """
    groups: dict[int, dict[str, Written]] = {}
    for one in written:
        if one.text.strip():
            groups.setdefault(one.group, {}).setdefault(one.text, one)
    each = [list(group.values()) for group in groups.values() if len(group) > 1]
    if isinstance(judge, Scorer):
        return [pair for among in each for pair in _by_score(among, pairing)]
    return _by_preference(judge, [pair for among in each for pair in list(pairwise(among))[::2]])


def _by_score(among: Sequence[Written], pairing: Pairing) -> list[Chosen]:
    of_text = {one.text: one for one in among}
    answers = tuple(Answer(response=one.text, score=one.reward) for one in among)
    try:
        pairs = choose_pairs(AnswerList(prompt=among[0].messages, answers=answers), pairing)
    except BadRow:  # a tie, or too small a gap
        return []
    return [(of_text[str(better)], of_text[str(worse)]) for (_, better), (_, worse) in pairs]


def _by_preference(judge: Judge, pairs: Sequence[Chosen]) -> list[Chosen]:
    comparisons = [
        Comparison(id=str(i), prompt=a.messages, a=Candidate(text=a.text), b=Candidate(text=b.text))
        for i, (a, b) in enumerate(pairs)
    ]

    def asked(own: Sequence[Comparison]) -> list[str]:
        said = sorted(judge.answers(own), key=lambda answer: answer[0])
        assert len(said) == len(own), "a judge answers every comparison"
        return [judgement.outcome for _, judgement in said]

    outcomes = ranks.share(comparisons, asked)
    return [(a, b) if o == "a" else (b, a) for (a, b), o in zip(pairs, outcomes, strict=True) if o in ("a", "b")]

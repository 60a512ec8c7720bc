"""Held-out accuracy by how much better the data says that the chosen response is."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from penchant.data import load_pairs
from penchant.data.records import Origin
from penchant.evaluation.pair_scores import PairScore, summarise
from penchant.evaluation.results_in_words import accuracy_lines
from penchant.ranking.cautions import SAME, warning_of
from penchant.report.compared_measures import compared_measures
from penchant.statistics import Estimate
from penchant.tokens import EncodedPair, TokenSequence

SIDES = {"prompt": "a question", "chosen": "a good answer", "rejected": "a bad answer"}
LIST = {"prompt": "q", "responses": ["one", "two", "three"], "scores": [3.0, 1.0, 0.5]}
COMPARISON = {
    "id": "1",
    "prompt": [{"role": "user", "content": "q"}],
    "a": {"text": "x"},
    "b": {"text": "y"},
    "outcome": "b",
}


@pytest.mark.parametrize(
    ("row", "gaps"),
    [
        (SIDES, [None]),
        (SIDES | {"score_chosen": 8, "score_rejected": 5.5}, [2.5]),
        (SIDES | {"chosen_score": 5.0, "rejected_score": 8.0}, [-3.0]),
        (SIDES | {"chosen-rating": "8", "rejected-rating": "5"}, [3.0]),
        (SIDES | {"meta": {"judge": "positivity", "score_chosen": 0.75, "score_rejected": 0.25, "gap": 0.5}}, [0.5]),
        (COMPARISON, [None]),
        (COMPARISON | {"strength": 2}, [2.0]),
        (COMPARISON | {"strength": 2, "meta": {"score_a": 1.0, "score_b": 4.0}}, [3.0]),
    ],
)
def test_the_gap_of_a_pair_is_what_its_row_says(row, gaps):
    assert [pair.gap for pair in load_pairs([row]).records] == gaps


def encoded(line, gap=None, margin=0.0):
    sides = (TokenSequence.of([1, line + 2], [token]) for token in (0, 1))
    return EncodedPair(*sides, 1.0, 1.0, margin, Origin(file="f", line=line), gap)


def scored(pairs, margins):
    return [
        PairScore(pair.origin, margin, 0.0, margin, 1 / (1 + np.exp(-margin)), margin > 0, *[0.0] * 4, 1, 1)
        for pair, margin in zip(pairs, margins, strict=True)
    ]


def test_accuracy_is_counted_by_quarters_of_the_gap():
    pairs = [encoded(i, gap=float(i)) for i in range(8)]
    found = summarise(pairs, scored(pairs, [-1, -1, -1, 1, 1, -1, 1, 1]))
    assert [(b.share.rate, b.share.num) for b in found.by_gap] == [(0.0, 2), (0.5, 2), (0.5, 2), (1.0, 2)]
    assert any("100.0%" in line and "has chosen better by 5.25 to 7" in line for line in accuracy_lines(found))
    assert found.num_prompts < 20
    assert list(accuracy_lines(found))[-1] == found.warning == warning_of(found.num_prompts)


def test_a_margin_stands_in_for_a_gap_and_pairs_without_either_are_left_out():
    pairs = [encoded(0, margin=0.5), encoded(1, margin=0.5), encoded(2, gap=2.0, margin=9.0), encoded(3)]
    found = summarise(pairs, scored(pairs, [1, -1, 1, 1]))
    assert [(b.start, b.end, b.share.rate, b.share.num) for b in found.by_gap] == [(0.5, 0.5, 0.5, 2), (2, 2, 1.0, 1)]
    assert summarise(pairs[:2], scored(pairs[:2], [1, -1])).by_gap == ()
    assert summarise(pairs[3:], scored(pairs[3:], [1])).by_gap == ()
    lines = compared_measures(json.loads(json.dumps({"accuracy": asdict(found)})), str)
    assert {(m.name, m.after, m.num) for m in lines if "better by" in m.name} == {
        ("where chosen is better by 0.5", "50.0%", "2 pairs"),
        ("where chosen is better by 2", "100.0%", "1 pairs"),
    }


def test_that_a_part_has_few_lists_is_said_under_it_once():
    pairs = [encoded(i) for i in range(24)]
    whole = summarise(pairs, scored(pairs, [1.0, -1.0] * 12))
    few, same = Estimate(0.5, 0.2, 0.8, 7, 7, warning_of(7)), Estimate(1.0, None, None, 3, 3, SAME)
    lines = list(accuracy_lines(replace(whole, parts={"Ties": few, "mean of parts": few, "Maths": same})))
    assert lines.count(f"          {warning_of(7)}") == 1
    place = lines.index(f"          {warning_of(7)}")
    assert "best of n, Ties" in lines[place - 1]
    assert sum(SAME in line for line in lines) == 1

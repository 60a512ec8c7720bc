"""Tokenised items are shown in parts: what is scored, what ends them; only a long text loses its middle."""

from types import SimpleNamespace

import numpy as np

from penchant.tokens import TokenSequence
from penchant.tokens.shown import Span, parts_of, scored_runs

LETTERS = SimpleNamespace(
    tokenizer=SimpleNamespace(decode=lambda ids, **_: "".join(chr(97 + i % 26) for i in ids)), end_ids=(25,)
)


def test_scored_runs_cut_where_the_mask_changes_and_lose_nothing():
    sequence = TokenSequence(np.arange(6), np.array([False, False, True, True, False, True]))
    found = [(scored, run.tolist()) for scored, run in scored_runs(sequence)]
    assert found == [(False, [0, 1]), (True, [2, 3]), (False, [4]), (True, [5])]
    ((scored, run),) = scored_runs(TokenSequence(np.array([7]), np.array([False])))
    assert (scored, run.tolist()) == (False, [7])


def test_a_pair_has_a_prompt_that_is_not_scored_and_two_responses_with_their_ends():
    chosen, rejected = TokenSequence.of([0, 1], [2, 3, 25]), TokenSequence.of([0, 1], [4])
    parts = list(parts_of(SimpleNamespace(chosen=chosen, rejected=rejected), LETTERS))
    assert [(part.name, part.ids, part.num_scored) for part in parts] == [
        ("prompt", (0, 1), 0),
        ("chosen", (2, 3, 25), 3),
        ("rejected", (4,), 1),
    ]
    assert parts[0].runs == ((Span("context", "ab"),),)
    assert parts[1].runs == ((Span("scored", "cd"), Span("end", "z")),)
    assert parts[2].runs == ((Span("scored", "e"),),)


def test_a_long_text_loses_its_middle_and_says_how_much():
    (part,) = parts_of(SimpleNamespace(sequences=(TokenSequence.of([24], [*range(24)] * 20),)), LETTERS)
    begin, run = part.runs
    assert begin == (Span("context", "y"),)
    assert [span.kind for span in run] == ["scored", "left_out", "scored"]
    assert [len(run[0].text), run[1].text, len(run[2].text)] == [100, " [280 more tokens] ", 100]

"""Pairs that say which model wrote which side are votes as well, and what is written as battles can be ranked."""

import json

import pytest

from penchant.data import load_pairs, load_votes
from penchant.data.convert import convert
from penchant.data.importers.reward_bench import WITH_MODELS

ASKED = {"role": "user", "content": "What is the sun?"}
PAIR = {"prompt": "What is the sun?", "chosen": "A star.", "rejected": "A lamp."}
CONVERSATIONS = {
    side: [ASKED, {"role": "assistant", "content": text}]
    for side, text in (("chosen", "A star."), ("rejected", "A lamp."))
}


@pytest.mark.parametrize("names", [("chosen_model", "rejected_model"), ("chosen-model", "rejected-model")])
@pytest.mark.parametrize("one", WITH_MODELS, ids=lambda one: one.name)
def test_pairs_with_models_are_votes_under_both_spellings(one, names):
    row = {name: value for name, value in one.example.items() if not name.endswith("_model")}
    row |= dict(zip(names, ("tea", "coffee"), strict=True))
    loaded = load_votes([row])
    assert [(vote.left, vote.right, vote.outcome) for vote in loaded.records] == [("tea", "coffee", "left")]
    assert (loaded.format, loaded.unread) == (one.name, ())
    assert len(load_pairs([row]).records) == 1


def test_equal_scores_are_a_tie_and_a_weight_refuses_the_vote():
    models = {"chosen-model": "tea", "rejected-model": "coffee"}
    tied = {**CONVERSATIONS, **models, "chosen-rating": 4, "rejected-rating": 4}
    (vote,) = load_votes([tied]).records
    assert vote.outcome == "tie"
    assert load_votes([tied, {**CONVERSATIONS, **models, "weight": 2}], on_bad_row="drop").verdict_counts == {
        "keep": 1,
        "unread_field": 1,
    }


@pytest.mark.parametrize(
    ("row", "models"),
    [
        ({**PAIR, "chosen-model": "tea", "rejected-model": "coffee"}, {"tea", "coffee"}),
        ({**CONVERSATIONS, "chosen_model": "tea", "rejected_model": "coffee"}, {"tea", "coffee"}),
        (PAIR, {"unknown_a", "unknown_b"}),
        (
            {
                "question": {"full_text": "What is the sun?"},
                **{"answer_0": "A star.", "score_0": 1, "answer_1": "A lamp.", "score_1": -1},
            },
            {"unknown_a", "unknown_b"},
        ),
    ],
)
def test_battles_that_are_written_can_be_ranked(row, models, tmp_path):
    path = tmp_path / "arena.jsonl"
    found = convert([row], to="arena", output=path)
    assert any("unknown_a and unknown_b stand for them" in line for line in found.in_words()) == ("unknown_a" in models)
    (vote,) = load_votes(path).records  # which a model against itself would not be
    assert {vote.left, vote.right} == models
    (battle,) = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert battle["conversation_" + battle["winner"][-1]][-1]["content"] == "A star."
    assert load_pairs([battle]).records[0].chosen == "A star."


def test_nobody_known_stays_nobody_when_it_is_written_again(tmp_path):
    first, again = tmp_path / "arena.jsonl", tmp_path / "comparisons.jsonl"
    convert([PAIR], to="arena", output=first)
    convert(first, to="comparisons", output=again)
    (row,) = map(json.loads, again.read_text(encoding="utf-8").splitlines())
    assert row["a"]["source"] is None
    assert row["b"]["source"] is None

"""A row says one thing: what contradicts itself, or may be meant in two ways, is refused and not decided in silence."""

import json
from collections import Counter

import pytest

from penchant.data import load_pairs, load_votes
from penchant.data.convert import convert
from penchant.data.importers import LIST_IMPORTERS
from penchant.data.importers.listed_tasks import tasks_by_score
from penchant.data.vote_table import load_vote_table

PAIR = {"prompt": "Q", "chosen": "x", "rejected": "y"}
TWO = PAIR | {"chosen_model": "M", "rejected_model": "N"}


def outcomes(*rows):
    return [(vote.left, vote.right, vote.outcome) for vote in load_votes(rows, on_bad_row="drop").records]


def refusal(load, row, good):
    (verdict,) = load([good, row], on_bad_row="drop").problems
    assert verdict.origin.line == 2
    return verdict.reason


def test_a_pair_with_models_and_equal_scores_is_a_tie_for_every_command(tmp_path):
    row = TWO | {"chosen_score": 5, "rejected_score": 5}
    assert outcomes(row) == [("M", "N", "tie")]
    convert([row], to="arena", output=tmp_path / "arena.jsonl")
    assert json.loads((tmp_path / "arena.jsonl").read_text())["winner"] == "tie"


def test_the_scores_of_a_pair_with_models_are_written(tmp_path):
    done = convert([TWO | {"chosen_score": 5, "rejected_score": "2"}], to="comparisons", output=tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert sorted(row["meta"].values()) == [2, 5]
    assert "chosen_score" not in [one.name for one in done.left_behind]


@pytest.mark.parametrize("number", [{"weight": 5}, {"probability": 0.1}], ids=str)
def test_a_weight_and_a_soft_label_are_no_vote(number):
    assert next(iter(number)) in refusal(load_votes, TWO | number, TWO | {"prompt": "R"})


def test_two_whole_conversations_with_models_are_read_as_the_pair_is():
    before = [{"role": "user", "content": text} for text in ("A", "Q")]
    before.insert(1, {"role": "assistant", "content": "B"})
    sides = {side: [*before, {"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
    assert len(load_pairs([TWO | sides]).records) == 1
    assert outcomes(TWO | sides) == [("M", "N", "left")]


def test_a_winner_is_a_word_or_the_name_of_an_item_and_refused_where_the_two_differ():
    good = {"left": "tea", "right": "coffee", "winner": "coffee"}
    assert outcomes(good, {"left": "a", "right": "b", "winner": "a"}) == [
        ("tea", "coffee", "right"),
        ("a", "b", "left"),
    ]
    for row in (
        {"left": "b", "right": "a", "winner": "a"},
        {"left": "right", "right": "left", "winner": "left"},
        {"left": "tie", "right": "x", "winner": "tie"},
        {"left": "2", "right": "1", "winner": 1},
    ):
        assert "the name of the item" in refusal(load_votes, row, good)
    turned = {"left": "b", "right": "a", "winner": "left", "shown_first": "a"}
    assert "'shown_first'" in refusal(load_votes, turned, good)


def test_the_flags_beside_a_winner_are_read_and_refused_where_they_differ():
    row = {"prompt": "Q", "response_a": "x", "response_b": "y", "model_a": "M", "model_b": "N", "winner": "model_b"}
    flags = {"winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}
    for load in (load_pairs, load_votes):
        assert "'winner' is 'model_b', but 'winner_model_a' is 1" in refusal(load, row | flags, row)
    assert outcomes(row | {"winner": None} | flags) == [("M", "N", "left")]
    assert outcomes(row | {"winner": "tie (bothbad)", "winner_tie": 1}) == [("M", "N", "both_bad")]


@pytest.mark.parametrize(
    "spelt",
    [("role", "content", "user", "assistant"), ("from", "value", "human", "gpt"), ("role", "content", "human", "gpt")],
)
def test_the_turn_of_a_battle_is_found_in_every_spelling_and_refused_where_there_is_none(spelt):
    role, text, user, assistant = spelt

    def talk(*texts):
        return [{role: (user, assistant)[i % 2], text: said} for i, said in enumerate(texts)]

    row = {
        "conversation_a": talk("1", "x", "2", "same"),
        "conversation_b": talk("1", "y", "2", "same"),
        "winner": "model_a",
        "model_a": "M",
        "model_b": "N",
        "turn": 1,
    }
    (pair,) = load_pairs([row]).records
    assert (pair.chosen, pair.rejected) == ("x", "y")
    for turn in ("first", 0, 3, 1.5):
        for load in (load_pairs, load_votes):
            assert "'turn'" in refusal(load, row | {"turn": turn}, row)


def test_a_session_kept_as_text_is_heeded():
    asked = {"role": "user", "content": "Q"}
    row = {"winner": "model_b"} | {
        f"conversation_{side}": [asked, {"role": "assistant", "content": side}] for side in "ab"
    }
    loaded = load_pairs([row, row | {"full_conversation": '[{"user": "a"}, {"user": "b"}]'}], on_bad_row="drop")
    assert loaded.verdict_counts == {"keep": 1, "turns_differ": 1}


def test_only_numbered_annotators_of_pandalm_vote():
    row = {"cmp_key": "tea_coffee", "instruction": "I", "annotator1": 1, "annotator": 2}
    assert outcomes(row) == [("tea", "coffee", "left")]


@pytest.mark.parametrize("value", ["nan", float("nan"), float("inf"), 10**400, True])
def test_a_strength_that_is_no_number_is_no_answer_or_refused(value):
    first = {"prompt": "Q", "response_1": "x", "response_2": "y", "preference_strength": 1}
    counts = load_pairs([first, first | {"preference_strength": value}], on_bad_row="drop").verdict_counts
    assert counts in ({"keep": 1, "unanswered": 1}, {"keep": 1, "bad_type": 1})


def sides(*rows):
    return [(pair.chosen, pair.rejected) for pair in load_pairs(rows, on_bad_row="drop").records]


def rated(first, second):
    answers = [{"response": "x", "overall_score": 9}, {"response": "y", "overall_score": 2}]
    said = zip(answers, (first, second), strict=True)
    return {"instruction": "Q", "completions": [one | {"annotations": more} for one, more in said]}


def test_the_ratings_of_ultrafeedback_are_read_in_every_spelling_or_refuse_the_row():
    good = rated({"a": {"Rating": "1"}}, {"a": {"Rating": "5"}})
    assert sides(good) == [("y", "x")]
    assert sides(rated('{"a": {"Rating": "1"}}', '{"a": {"Rating": "5"}}')) == [("y", "x")]
    assert sides(rated({"a": {"rating": "1"}}, {"a": {"rating": "5"}})) == [("y", "x")]
    for bad in ("very good", {"a": {"Rationale": "r"}}, [1]):
        assert "annotations' must hold a Rating" in refusal(load_pairs, rated({"a": {"Rating": "1"}}, bad), good)


def test_two_kinds_of_scores_are_never_compared_with_each_other():
    mixed = {"prompt": "R", "answers": [{"text": "x", "score": 0.9}, {"text": "y", "rank": 1}]}
    for row in (mixed, rated({"a": {"Rating": "1"}}, {"a": {"Rating": "N/A"}})):
        loaded = load_pairs([rated({"a": {"Rating": 1}}, {"a": {"Rating": 5}}) | {"instruction": "S"}, row])
        assert loaded.verdict_counts == {"keep": 1, "one_answer": 1}


BESIDE = {"prompt": "Q", "generations": ["x", "y"], "ratings": [2, 9]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (BESIDE | {"scores": [9, 2]}, "opposite order"),
        (BESIDE | {"rank": [1, 2]}, "opposite order"),
        (BESIDE | {"scores": {"help": [1, 2]}}, "'scores' must be a list"),
        (
            {"prompt": "Q", "answers": [{"text": "x", "score": 1, "rank": 1}, {"text": "y", "score": 2, "rank": 2}]},
            "opposite order",
        ),
        (
            {"prompt": "Q", "answers": [{"text": "x", "score": 1}, {"text": "y", "score": 2}], "scores": [2, 1]},
            "opposite",
        ),
        ({"instruction": "Q", "output": ["x", "y"], "scores": [1, 9]}, "opposite order"),
        (BESIDE | {"history": [["a", "b"]]}, "'history'"),
    ],
    ids=str,
)
def test_scores_that_contradict_each_other_refuse_their_row(row, said):
    assert said in refusal(load_pairs, row, BESIDE | {"prompt": "R"})


def test_scores_that_differ_in_ties_alone_are_read_by_the_first():
    assert sides(BESIDE | {"ranks": [1, 1]}) == [("y", "x")]
    tied = load_pairs([BESIDE, BESIDE | {"ratings": [2, 2], "ranks": [1, 2]}])
    assert tied.verdict_counts == {"keep": 1, "tie": 1}
    assert sides({"instruction": "Q", "output": ["x", "y"], "ratings": [9, 1]}) == [("x", "y")]
    assert sides({"instruction": "Q", "output": ["x", "y"], "ratings": [5, 5]}, BESIDE) == [("y", "x")]


def test_what_the_messages_of_an_answer_hold_beside_their_text_is_listed_or_refused():
    def listed(**more):
        answer = {"role": "assistant", "content": "x", **more}
        return {"prompt": "Q", "answers": [{"text": answer, "score": 2}, {"text": "y", "score": 1}]}

    assert [one.name for one in load_pairs([listed(foo=1)]).unread] == ["answers[].text[].foo"]
    assert "'answers[].text[].documents'" in refusal(load_pairs, listed(documents=["d"]), listed())
    messages = [[{"role": "assistant", "content": "x", "foo": 1}], [{"role": "assistant", "content": "y"}]]
    loaded = load_pairs([{"prompt": "Q", "generations": messages, "scores": [2, 1], "rating": 5}])
    assert [one.name for one in loaded.unread] == ["generations[][].foo", "rating"]


RATED = {"input": "Q", "chosen": "x", "rejected": "y"}
WHOLE = {
    side: [{"role": "user", "content": "Q"}, {"role": "assistant", "content": text}]
    for side, text in zip(("chosen", "rejected"), "xy", strict=True)
}


@pytest.mark.parametrize(
    "row", [RATED, TWO, {"instruction": "Q", "chosen_response": "x", "rejected_response": "y"}, WHOLE], ids=str
)
def test_a_list_of_two_ratings_and_a_word_for_a_tie_are_heard_beside_every_pair(row):
    good = PAIR | {"prompt": "another"}
    for value, code in (
        ({"rating": [9, "2.0"]}, "keep"),
        ({"rating": [5, 5.0]}, "tie"),
        ({"ratings": {"chosen": 3, "rejected": 3}}, "tie"),
        ({"status": " Tie"}, "tie"),
        ({"winner": "tie (bothbad)"}, "both_bad"),
        ({"rating": [2, 9], "generations": ["y", "x"]}, "keep"),
        ({"rating": "[2, 9]", "order": ["rejected", "chosen"]}, "keep"),
        ({"rating": [9, 2], "order": ["rejected", "chosen"], "status": "swapped"}, "keep"),
        ({"rating": [2, 9], "generations": ["something", "else"]}, "keep"),
        ({"rating": [2, 9], "responses": ["y", "x"]}, "keep"),
        ({"rating": 5}, "keep"),
        ({"rating": [1, 2, 3]}, "keep"),
        ({"rating": [2, 9]}, "bad_type"),
        ({"scores": {"chosen": 2, "rejected": 9}}, "bad_type"),
        ({"rating": [9, 2], "generations": ["y", "x"]}, "bad_type"),
    ):
        found = load_pairs([good, row | value], on_bad_row="drop").verdict_counts
        assert found == Counter(["keep", code]), value
    assert load_pairs([row | {"rating": [9, 2]}]).records[0].gap == 7


def test_a_word_for_a_tie_is_a_tie_of_two_models():
    assert outcomes(TWO | {"status": "tie"}) == [("M", "N", "tie")]


SHP = {"history": "Q", "human_ref_A": "x", "human_ref_B": "y", "labels": 1, "score_A": 9, "score_B": 2}


def test_a_label_and_two_scores_of_the_answers_agree_or_the_row_is_refused():
    assert sides(SHP, SHP | {"history": "R", "labels": 0, "score_A": "1"}) == [("x", "y"), ("y", "x")]
    assert load_pairs([SHP, SHP | {"history": "R", "score_A": 2.0}]).verdict_counts == {"keep": 1, "tie": 1}
    for row in (SHP | {"labels": 0}, SHP | {"score_A": "1"}):
        assert "is the higher score" in refusal(load_pairs, row, SHP | {"history": "R"})


@pytest.mark.parametrize("name", [0, "0", 7, "Ann"])
def test_an_annotator_may_be_a_number_and_0_is_one(name):
    two = {"conversation_a": said("x"), "conversation_b": said("y"), "model_a": "M", "model_b": "N"}
    summaries = {"info": {"post": "p"}, "summaries": [{"text": "x", "policy": "M"}, {"text": "y", "policy": "N"}]}
    coded = {"instruction": "Q", "output_1": "x", "output_2": "y", "generator_1": "M", "generator_2": "N"}
    rows = [
        two | {"winner": "model_a", "judge": name},
        {"left": "M", "right": "N", "winner": "left", "worker": name},
        coded | {"preference": 1, "annotator": name},
        summaries | {"choice": 0, "worker": name},
    ]
    for row in rows:
        assert [vote.annotator for vote in load_votes([row]).records] == [str(name)]
        assert [vote.annotator for vote in load_vote_table([row])[1]] == [str(name)]
    for nobody in (None, "", " ", float("nan")):
        assert load_vote_table([rows[1] | {"worker": nobody}])[1][0].annotator is None


def said(text):
    return [{"role": "user", "content": "Q"}, {"role": "assistant", "content": text}]


def test_two_scores_of_one_text_are_one_for_tasks_as_for_pairs(tmp_path):
    answers = [{"text": text, "score": score} for text, score in (("x", 1), ("y", 4), ("x", 9), ("y", None))]
    row = {"prompt": "Q", "answers": answers}
    assert sides(row) == [("x", "y")]
    (task,) = next(one for one in map(tasks_by_score, LIST_IMPORTERS) if one.name == "answer_objects").convert(row)
    assert (task.a.text, task.b.text, task.outcome) == ("x", "y", "a")

"""A second word on which of two answers is better: where it agrees it is read, where it does not the row is refused."""

from functools import partial

import pytest

from penchant.data import load_pairs, load_votes
from penchant.data.fields import unread_of
from penchant.data.importers import JUDGED_IMPORTERS
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

GOOD, BAD = "A star.", "A lamp."
PAIR = {"prompt": "What is the sun?", "chosen": GOOD, "rejected": BAD}
IN_ORDER, TURNED = {"response_1": GOOD, "response_2": BAD}, {"response_1": BAD, "response_2": GOOD}
LETTERS, LETTERS_TURNED = {"response_a": GOOD, "response_b": BAD}, {"response_a": BAD, "response_b": GOOD}
MODELS, DASHED = {"chosen_model": "tea", "rejected_model": "mud"}, {"chosen-model": "tea", "rejected-model": "mud"}
ASKED = {"role": "user", "content": "What is the sun?"}
BATTLE = {
    "model_a": "tea",
    "model_b": "mud",
    "conversation_a": [ASKED, {"role": "assistant", "content": GOOD}],
    "conversation_b": [ASKED, {"role": "assistant", "content": BAD}],
    "winner": "model_a",
}
SAFE = {"response_0": GOOD, "response_1": BAD, "is_response_0_safe": True, "is_response_1_safe": True}
LLMBAR = {"input": "What is the sun?", "output_1": GOOD, "output_2": BAD, "label": 1}


@pytest.mark.parametrize(
    "more",
    [
        {"winner": "chosen"},
        {"winner": "model_a"},
        {"preference": "A"},
        {"best_response": f" {GOOD}\n"},
        {"human_preference": "first"},
        {"label": "chosen"},
        {"label": True},
        {"label": "1"},
        {"winner": "tea", **MODELS},
        {"preferred_model": "tea", **DASHED},
        {**IN_ORDER, "preference_strength": -2},
        {**TURNED, "preference_strength": 2},
        {**BATTLE, "prompt": "What is the sun?"},
        {**SAFE, "better_response_id": 0},
    ],
    ids=str,
)
def test_one_that_agrees_is_read_and_nothing_is_said(more):
    loaded = load_pairs([{**PAIR, **more}])
    assert (loaded.records[0].chosen, loaded.verdict_counts) == (GOOD, {"keep": 1})
    assert {field.name for field in loaded.unread}.isdisjoint(more.keys() - BATTLE.keys())


@pytest.mark.parametrize(
    "more",
    [
        {**TURNED, "better_response": 2},
        {**TURNED, "better_response": "response_2"},
        {**TURNED, "winner": "B"},
        {**LETTERS_TURNED, "winner": "[[B]]"},
        {**LETTERS_TURNED, "model_a": "mud", "model_b": "tea", "winner": "tea"},
    ],
    ids=str,
)
def test_it_may_name_an_answer_as_the_row_does(more):
    loaded = load_pairs([{**PAIR, **more}])
    assert loaded.records[0].chosen == GOOD
    assert {field.name for field in loaded.unread}.isdisjoint({"winner", "better_response"})


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"winner": "rejected"}, "winner"),
        ({"better": "rejected"}, "better"),
        ({"better": BAD}, "better"),
        ({"winner": "model_b"}, "winner"),
        ({"preference": "B"}, "preference"),
        ({"winner": 2}, "winner"),
        ({"human_preference": "second"}, "human_preference"),
        ({"label": "rejected"}, "label"),
        ({"label": False}, "label"),
        ({"label": "0"}, "label"),
        ({"label": -1}, "label"),
        ({"winner": "mud", **MODELS}, "winner"),
        ({"preferred_model": "mud", **DASHED}, "preferred_model"),
        ({**IN_ORDER, "better_response": 2}, "better_response"),
        ({**TURNED, "winner": "A"}, "winner"),
        ({**LETTERS, "winner": "model_b"}, "winner"),
        ({**LETTERS_TURNED, "model_a": "mud", "model_b": "tea", "winner": "mud"}, "winner"),
        ({**BATTLE, "winner": "model_b"}, "winner"),
    ],
    ids=str,
)
def test_one_that_names_the_other_answer_refuses_the_row_and_names_both(more, name):
    with pytest.raises(DataError, match=rf"'{name}' is .*, but the format prompt_chosen_rejected prefers 'A star\.'"):
        load_pairs([{**PAIR, **more}])
    assert load_pairs([{**PAIR, **more}], format="prompt_chosen_rejected").records[0].chosen == GOOD


@pytest.mark.parametrize(
    ("more", "other"),
    [
        ({**IN_ORDER, "preference_strength": 2}, "helpsteer2_preference"),
        ({**TURNED, "preference_strength": -2}, "helpsteer2_preference"),
        ({**SAFE, "better_response_id": 1}, "safe_rlhf"),
        ({**LETTERS, "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0}, "arena_turns"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_two_formats_of_one_row_that_prefer_opposite_answers_refuse_it(more, other):
    with pytest.raises(
        DataError, match=rf"it prefers 'A star\.', but read as {other} 'A lamp\.'; remove what is wrong"
    ):
        load_pairs([{**PAIR, **more}])


@pytest.mark.parametrize(
    "more",
    [
        {"winner": 1},
        {"preference": 2},
        {"preference": 4},
        {"preference": "helpfulness"},
        {"preference_strength": 3},
        {"label": "math"},
        {"label": "B"},
        {"label": 7},
        {"choice": "B"},
        {"outcome": "right"},
        {"verdict": "correct"},
        {"status": "swapped"},
        {"winner": "salt", **MODELS},
        {"preferred": False},
        {"chosen_by": "mud"},
        {"orig_preference": "B"},
        {"better_than": BAD},
        {"overall_preference": 1, "response1": GOOD, "response2": BAD},
    ],
    ids=str,
)
def test_one_that_names_no_answer_is_listed(more):
    loaded = load_pairs([{**PAIR, **more}])
    assert loaded.records[0].chosen == GOOD
    assert next(iter(more)) in {field.name for field in loaded.unread}


@pytest.mark.parametrize(
    "more",
    [
        {"preferred": "tie"},
        {"label": "tie"},
        {**BATTLE, "winner": "tie"},
        {**IN_ORDER, "preference_strength": 0},
        {"response_a": f'["{BAD}"]', "response_b": f'["{GOOD}"]', "winner_tie": 1},
    ],
)
def test_a_tie_beside_a_chosen_side_is_a_tie(more):
    loaded = load_pairs([PAIR, {**PAIR, "prompt": "And then?", **more}])
    assert loaded.verdict_counts == {"keep": 1, "tie": 1}


@pytest.mark.parametrize("name", ["llama-2", "phi-2", "qwen2", "plan b", "claude-1", "the sum is 2"])
@pytest.mark.parametrize("more", [{}, IN_ORDER, LETTERS], ids=["two sides", "numbered", "lettered"])
def test_a_model_whose_name_ends_as_a_side_does_is_no_side(name, more):
    assert_listed({**PAIR, **more, "winner": name}, "winner")


def test_a_whole_word_for_a_side_is_one():
    for word in ("model_b", "Response 2", "assistant-b", "[[B]]", "answer2", "the second"):
        assert_refused({**PAIR, "winner": word}, "but the format")


@pytest.mark.parametrize(
    ("more", "winner"),
    [
        ({"model_a": "tea", "model_b": "mud"}, "model_b"),
        ({"model_a": "tea", "model_b": "mud"}, "A"),
        ({"score_a": 1, "score_b": 2}, "B"),
        ({"generator_1": "tea", "generator_2": "mud"}, "second"),
        ({"response_1": "another", "response_2": "a third"}, "response_2"),
    ],
    ids=str,
)
def test_a_place_in_another_order_than_that_of_the_pair_is_listed(more, winner):
    assert_listed({**PAIR, **more, "winner": winner}, "winner")


def test_a_place_is_compared_by_the_model_that_stood_there():
    turned = {**PAIR, **MODELS, "model_a": "mud", "model_b": "tea"}
    for winner in ("model_b", "B", "tea", "right"):
        assert "winner" not in {field.name for field in load_pairs([{**turned, "winner": winner}]).unread}
    for winner in ("model_a", "first", "mud"):
        assert_refused({**turned, "winner": winner}, "but the format")
    assert_refused({**PAIR, "model_a": None, "model_b": None, "winner": "model_b"}, "but the format")


def test_a_side_is_compared_with_what_a_soft_label_prefers():
    soft = {**PAIR, "probability": 0.2}
    for more in ({"label": False}, {"label": 0}, {"winner": "B"}, {"winner": "rejected"}):
        assert load_pairs([{**soft, **more}]).unread == ()
    for more in ({"label": True}, {"label": 1}, {"winner": "A"}, {"winner": "chosen"}):
        assert_refused({**soft, **more}, r"but the format .* prefers 'A lamp\.'")


@pytest.mark.parametrize("winner", ["model_a", "model_b"])
@pytest.mark.parametrize("load", [load_pairs, load_votes])
def test_a_truth_beside_two_answers_that_were_judged_may_be_that_of_either(load, winner):
    battle = {**BATTLE, "winner": winner}
    for label in (True, 1, "math", 7):
        assert_listed({**battle, "label": label}, "label", load)
    for label in (False, 0, "0"):
        assert_refused({**battle, "label": label}, "'label' says whether the response is good", load)
    assert_listed({**battle, "label": 0}, "label", partial(load, format="arena_battles"))


def test_so_it_may_where_neither_is_better():
    for row, load in (({**PAIR, "probability": 0.5}, load_pairs), ({**BATTLE, "winner": "tie"}, load_votes)):
        assert_refused({**row, "label": 0}, "'label' says whether the response is good", load)
        assert_listed({**row, "label": 1}, "label", load)


def test_so_it_may_in_a_comparison_and_in_one_that_nobody_has_answered():
    (arena,) = (one for one in JUDGED_IMPORTERS if one.name == "arena_battles")
    for winner in ("model_a", "model_b", None):
        row = {**BATTLE, "winner": winner}
        assert unread_of({**row, "label": True}, arena, [arena.convert(row)]) == ["label"]
        with pytest.raises(BadRow, match="'label' says whether the response is good"):
            unread_of({**row, "label": False}, arena, [arena.convert(row)])


@pytest.mark.parametrize("scores", [(0, 0), (-1, 1)])
def test_scores_of_another_judge_refuse_no_pair_that_names_its_sides(scores):
    asked = {"question": "What is the sun?", "chosen": GOOD, "rejected": BAD}
    judged = {"answer_0": GOOD, "answer_1": BAD, "score_0": scores[0], "score_1": scores[1]}
    assert_listed({**asked, **judged}, "answer_0")


def test_a_tie_of_two_other_answers_is_none_of_the_pair():
    assert_listed({**PAIR, "response_1": "one", "response_2": "other", "preference_strength": 0}, "preference_strength")


def assert_listed(row, name, load=load_pairs):
    loaded = load([row])
    assert loaded.verdict_counts == {"keep": 1}
    assert name in {field.name for field in loaded.unread}


def assert_refused(row, why, load=load_pairs):
    with pytest.raises(DataError, match=why):
        load([row])


def test_a_format_that_was_judged_is_compared_as_well():
    for more in ({"winner": "1"}, {"preference": "output_1"}):
        assert load_pairs([{**LLMBAR, **more}]).unread == ()
    for more in ({"winner": "2"}, {"preference": "output_2"}, {"verdict": "tie"}):
        with pytest.raises(DataError, match=rf"'{next(iter(more))}' is .*llmbar prefers 'A star\.'"):
            load_pairs([{**LLMBAR, **more}])


def test_so_are_votes():
    assert load_votes([{**BATTLE, "preferred": "model_a"}]).unread == ()
    assert load_votes([{**PAIR, **MODELS, "winner": "tie"}]).unread == ()
    for row in ({**BATTLE, "preferred": "mud"}, {**PAIR, **MODELS, "winner": "mud"}):
        with pytest.raises(DataError, match=r"is 'mud', but the format .* prefers 'tea'"):
            load_votes([row])


def test_labels_of_demonstrations_stay_what_they_were():
    from penchant.data import load_labelled

    rows = [{"prompt": "What is the sun?", "completion": text, "label": text == GOOD} for text in (GOOD, BAD)]
    assert [one.desirable for one in load_labelled(rows).records] == [True, False]

"""Pairs whose fields have the names of public data sets become the pairs that those data sets mean."""

import json

import pytest

from penchant.data import guess_kind, load_demonstrations, load_labelled, load_pairs, load_prompts
from penchant.errors import DataError

SIDES = {"chosen": "good", "rejected": "bad"}


def said(role, text):
    return {"role": role, "content": text}


def of(*turns):
    return [(message.role, message.content) for message in turns]


def pair_of(row):
    loaded = load_pairs([row])
    assert guess_kind([row]) == "pairs"
    assert loaded.unread == ()
    return loaded.records[0]


def refusal(row):
    with pytest.raises(DataError) as caught:
        load_pairs([row])
    return str(caught.value)


ORCA = {"system": "Be brief.", "question": "Why?", **SIDES}
DISTILABEL = {
    "system": "Be brief.",
    "input": "Why?",
    **SIDES,
    "generations": ["good", "bad"],
    "order": ["chosen", "rejected"],
    "labelling_model": "a judge",
    "labelling_prompt": [said("system", "You are a judge."), said("user", "Rate these.")],
    "raw_labelling_response": "9 2",
    "rating": [9.0, 2.0],
    "rationale": "The first is good.",
    "status": "unchanged",
    "original_chosen": "good",
    "original_rejected": "bad",
    "chosen_score": 9.0,
    "in_gsm8k_train": False,
}


@pytest.mark.parametrize("row", [ORCA, DISTILABEL, {k: v for k, v in DISTILABEL.items() if k != "status"}], ids=str)
def test_orca_pairs_and_those_distilabel_rated_have_their_system_and_nothing_left_over(row):
    pair = pair_of(row)
    assert of(*pair.prompt) == [("system", "Be brief."), ("user", "Why?")]
    assert (pair.chosen, pair.rejected) == ("good", "bad")


def test_a_pair_that_distilabel_found_to_be_a_tie_is_none():
    loaded = load_pairs([DISTILABEL, DISTILABEL | {"status": "tie"}, DISTILABEL | {"input": "How?"}])
    assert loaded.verdict_counts == {"keep": 2, "tie": 1}


@pytest.mark.parametrize("sides", [SIDES, {"output": ["good", "bad"]}], ids=str)
def test_llama_factory_pairs_read_input_system_and_history(sides):
    row = {"instruction": "Translate.", "input": "Haus", "system": "Be brief.", "history": [["Hi", "Hello"]], **sides}
    pair = pair_of(row)
    assert of(*pair.prompt) == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Translate.\n\nHaus"),
    ]
    assert (pair.chosen, pair.rejected) == ("good", "bad")


def test_a_ranked_output_of_another_number_than_two_is_refused():
    assert "'output' holds 3 responses" in refusal({"instruction": "Q", "output": ["a", "b", "c"]})


@pytest.mark.parametrize(
    "row",
    [
        {"query": "Why?", **SIDES},
        {"prompt": "Why?", "chosen_response": "good", "rejected_response": "bad", "chosen_avg_rating": 4.5},
        {"instruction": "Why?", "chosen_response": "good", "rejected_response": "bad", "source": "flan"},
        {"qid": 3, "question": "Why?", "response_j": "good", "response_k": "bad", "date": "2020/01/01"},
        {"input": "Why?", "accepted": "good", "rejected": "bad"},
        {"messages": [said("user", "Why?")], **SIDES},
        {"messages": [said("user", "Why?")], "chosen": said("assistant", "good"), "rejected": said("assistant", "bad")},
        {"question": "Why?", "chosen": [said("assistant", "good")], "rejected": [said("assistant", "bad")]},
        {
            "question": "Why?",
            "chosen": [said("user", "Why?"), said("assistant", "good")],
            "rejected": [said("user", "Why?"), said("assistant", "bad")],
        },
    ],
    ids=str,
)
def test_a_question_may_have_another_name(row):
    pair = pair_of(row)
    assert (of(*pair.prompt), pair.chosen, pair.rejected) == ([("user", "Why?")], "good", "bad")


@pytest.mark.parametrize("other", ["question", "query", "input", "instruction"])
def test_a_second_question_is_never_passed_over_unless_it_repeats_the_first(other):
    row = {"prompt": "Why?", **SIDES}
    assert f"the field '{other}' holds another text" in refusal(row | {other: "How?"})
    assert pair_of(row | {other: "Why?"}).prompt[0].content == "Why?"
    assert "'input' holds another text" in refusal(ORCA | {"input": "How?"})


TURNS = [said("user", "One?"), said("assistant", "Two."), said("user", "Three?")]


def whole(text, *before):
    return [*(before or TURNS), said("assistant", text)]


@pytest.mark.parametrize(
    "prompt",
    ["Three?", "One?", " Three?\n", "One?\n\nTwo.\n\nThree?", TURNS, TURNS[2:], "\n\nHuman: Three?\n\nAssistant:"],
    ids=str,
)
def test_a_prompt_that_says_less_than_the_two_conversations_gives_way_to_them(prompt):
    pair = pair_of({"prompt": prompt, "chosen": whole("good"), "rejected": whole("bad")})
    assert of(*pair.prompt) == [("user", "One?"), ("assistant", "Two."), ("user", "Three?")]
    assert (pair.chosen, pair.rejected) == ("good", "bad")


def test_the_system_message_of_the_conversations_or_of_the_row_stays():
    system = said("system", "Be brief.")
    expected = [("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?")]
    sides = {"chosen": whole("good", system, *TURNS), "rejected": whole("bad", system, *TURNS)}
    assert of(*pair_of({"prompt": "Three?", **sides}).prompt) == expected
    assert of(*pair_of({"prompt": [system, TURNS[2]], **sides}).prompt) == expected
    bare = {"chosen": whole("good"), "rejected": whole("bad")}
    assert of(*pair_of({"prompt": "Three?", "system": "Be brief.", **bare}).prompt) == expected
    assert of(*pair_of({"prompt": [system, TURNS[2]], **bare}).prompt) == expected
    assert "'system' is not the system message" in refusal({"prompt": [said("system", "No."), TURNS[2]], **sides})


ASKED = {"role": "user", "content": "Three?"}
LOOK = [{"type": "function", "function": {"name": "look"}}]


@pytest.mark.parametrize("prompt", ["Three?", [ASKED]], ids=str)
@pytest.mark.parametrize(
    "before",
    [
        [said("system", "Be brief."), ASKED],
        [said("developer", "Be brief."), ASKED],
        [ASKED | {"name": "Ada"}],
        [ASKED | {"tools": LOOK}],
    ],
    ids=str,
)
def test_what_only_the_conversations_say_of_a_prompt_that_both_repeat_is_kept(prompt, before):
    pair = pair_of({"prompt": prompt, "chosen": whole("good", *before), "rejected": whole("bad", *before)})
    assert pair.prompt == pair_of({"prompt": before, "chosen": "good", "rejected": "bad"}).prompt


@pytest.mark.parametrize("prompt", ["Three?", [ASKED], "One?"], ids=str)
def test_who_samples_is_asked_what_training_on_the_same_pair_answers(prompt):
    before = [said("system", "Be brief."), *TURNS]
    row = {"prompt": prompt, "chosen": whole("good", *before), "rejected": whole("bad", *before)}
    (asked,) = load_prompts([row | {"score_chosen": 1, "score_rejected": 1}]).records
    assert asked.messages == pair_of(row).prompt
    (alone,) = load_prompts([{"prompt": "Three?", **SIDES}]).records
    assert of(*alone.messages) == [("user", "Three?")]


def test_what_only_a_prompt_of_messages_says_is_kept_and_what_each_says_alone_is_refused():
    named, begun = [ASKED | {"name": "Ada"}], [*TURNS[:2], ASKED]
    sides = {"chosen": whole("good", ASKED), "rejected": whole("bad", ASKED)}
    assert pair_of({"prompt": named, **sides}).prompt[-1].name == "Ada"
    assert len(pair_of({"prompt": begun, **sides}).prompt) == 3
    other = {side: whole(side, said("system", "Be brief."), ASKED) for side in ("chosen", "rejected")}
    assert "differ from the prompt" in refusal({"prompt": begun, **other})
    assert "differ from the prompt" in refusal({"prompt": named, **other})


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Other?", "chosen": whole("good"), "rejected": whole("bad")},
        {"prompt": "Three", "chosen": whole("good"), "rejected": whole("bad")},
        {"prompt": "Three?", "chosen": whole("good"), "rejected": "bad"},
        {"prompt": "Three?", "chosen": whole("good"), "rejected": whole("bad", *TURNS[2:])},
        {"prompt": [said("user", "Zero?"), *TURNS[1:]], "chosen": whole("good"), "rejected": whole("bad")},
    ],
    ids=str,
)
def test_conversations_that_are_not_of_the_prompt_are_refused(row):
    assert any(words in refusal(row) for words in ("differ from the prompt", "differ before the last one"))


CALL = {
    "role": "assistant",
    "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "content": "rain"}


def test_openai_outputs_that_begin_with_the_same_call_and_result_go_on_with_the_prompt():
    row = {
        "input": {"messages": [said("system", "S"), *TURNS], "tools": [], "parallel_tool_calls": True},
        "preferred_output": [CALL, RESULT, said("assistant", "Rain.")],
        "non_preferred_output": [CALL, RESULT, said("assistant", "Sun.")],
    }
    pair = pair_of(row)
    assert [message.role for message in pair.prompt] == ["system", "user", "assistant", "user", "assistant", "tool"]
    assert (pair.chosen, pair.rejected) == ("Rain.", "Sun.")
    other = row | {"non_preferred_output": [CALL, RESULT | {"content": "sun"}, said("assistant", "Sun.")]}
    assert "'preferred_output' and 'non_preferred_output' differ before" in refusal(other)
    assert pair_of({**row, "input": row["input"]["messages"]}).prompt == pair.prompt


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "Q", "input": "", "output": "R"},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "R"}]},
        {"messages": [said("user", "Q"), said("assistant", "R")]},
    ],
    ids=str,
)
def test_the_tag_of_llama_factory_is_a_label(row):
    rows = [row | {"kto_tag": True}, row | {"kto_tag": "false", "system": "S"}]
    assert guess_kind(rows) == "labelled"
    assert [record.desirable for record in load_labelled(rows).records] == [True, False]
    imitated = load_demonstrations(rows)
    assert imitated.verdict_counts == {"keep": 1, "not_desirable": 1}
    assert "its 'kto_tag' says" in str(imitated.problems[0])
    with pytest.raises(DataError, match="the field 'kto_tag' says whether the response is good"):
        load_labelled([row | {"label": True, "kto_tag": False}])


def test_responses_of_a_preference_are_not_learned_by_heart():
    row = {"messages": [said("user", "Q"), said("assistant", "R")], "rejected_response": "S"}
    with pytest.raises(DataError, match="the field 'rejected_response' holds a response of a preference"):
        load_demonstrations([row])


def test_named_pairs_are_read_from_csv_as_from_json(tmp_path):
    (tmp_path / "orca.csv").write_text('system,question,chosen,rejected\n,"Why?","good","bad"\n', encoding="utf-8")
    (tmp_path / "orca.jsonl").write_text(json.dumps({"question": "Why?", **SIDES}) + "\n", encoding="utf-8")
    csv, jsonl = (load_pairs(tmp_path / f"orca.{kind}") for kind in ("csv", "jsonl"))
    assert csv.format == jsonl.format == "question_chosen_rejected"
    assert csv.records[0].model_dump(exclude={"origin"}) == jsonl.records[0].model_dump(exclude={"origin"})

"""What a row says is heard as it is said: no value is taken for absent, joined to another, or read in part."""

import copy
from functools import reduce

import pytest

import penchant as pt
from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts
from penchant.data.importers.values import says_nothing
from penchant.data.read_as import TABLES
from penchant.data.records import Origin
from penchant.data.rows import Reader
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

ASK = {"role": "user", "content": "What is the sun?"}
STAR, LAMP = ({"role": "assistant", "content": text} for text in ("A star.", "A lamp."))
PAIR = {"prompt": "What is the sun?", "chosen": "A star.", "rejected": "A lamp."}
TALKS = {"chosen": [ASK, STAR], "rejected": [ASK, LAMP]}


@pytest.mark.parametrize("kind", ["demonstrations", "labelled", "prompts"])
@pytest.mark.parametrize("value", [0, False])
def test_zero_and_false_are_never_taken_for_absent(kind, value):
    for one in TABLES[kind]:
        plain = one.convert(dict(one.example))
        for name in one.reads - set(one.example) - {"id", "weight", "margin", "gap", "probability"}:
            try:
                found = one.convert({**one.example, name: value})
            except (BadRow, ValueError):
                continue
            assert found != plain or name in one.harmless, f"{one.name}.{name} = {value} is passed over"


@pytest.mark.parametrize(
    ("load", "row"),
    [
        (load_demonstrations, {"instruction": "Is it even?", "input": 0, "output": "Yes"}),
        (load_demonstrations, {"instruction": "Is it even?", "output": "Yes", "system": 0}),
        (load_demonstrations, {"instruction": "Is it?", "instances": [{"input": "x", "output": "No", "label": False}]}),
        (load_prompts, {"instruction": "Is it even?", "input": False}),
        (load_pairs, PAIR | {"probability": False}),
        (load_pairs, PAIR | {"weight": True}),
        (load_labelled, {"prompt": "Q", "completion": "A", "label": False, "is_good": True}),
        (load_labelled, {"messages": [ASK, STAR], "label": True, "desirable": 0}),
    ],
)
def test_a_value_that_says_no_is_heard_or_refused(load, row):
    with pytest.raises(DataError, match="row"):
        load([row])


def test_two_labels_that_agree_are_one():
    row = {"prompt": "Q", "completion": "A", "label": False, "is_good": "False"}
    assert load_labelled([row]).records[0].desirable is False


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "chosen": "['A star.']", "rejected": "['A lamp.' 'A planet.']", "num_correct": 1},
        {"prompt": "['q1' 'q2']", "response_a": "['a1' 'a2']", "response_b": "['a1' 'b2']", "winner": "model_a"},
        {"turns": "['first q'\n 'second q']", "question_id": 1},
        {"text": r"['## Human:\nq\n\n## Assistant:\na' '## Human:\nq\n\n## Assistant:\nb']", "score": "[1, 2]"},
    ],
)
def test_texts_in_an_array_that_numpy_printed_are_not_joined(row):
    load = load_prompts if "turns" in row else load_pairs
    with pytest.raises(DataError, match="numpy"):
        load([row])


def test_a_literal_list_with_its_commas_is_read():
    row = {"prompt": "p", "chosen": "['A star.']", "rejected": "['A lamp.', 'A planet.']", "num_correct": 1}
    assert [pair.rejected for pair in load_pairs([row]).records] == ["A lamp.", "A planet."]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("What is the sun?", True),
        ("<|im_start|>user\nWhat is the sun?<|im_end|>\n<|im_start|>assistant\n", True),
        ("Human: What is the sun?\n\nAssistant:", True),
        ("Answer in French. What is the sun?", False),
        ("Do not answer this: What is the sun?", False),
    ],
)
@pytest.mark.parametrize("load", [load_pairs, load_prompts])
def test_a_prompt_that_says_more_than_the_conversations_is_not_dropped(load, prompt, read):
    row = {"prompt": prompt, **TALKS}
    if read:
        (record,) = load([row]).records
        messages = record.prompt if load is load_pairs else record.messages
        assert [message.content for message in messages] == ["What is the sun?"]
    else:
        with pytest.raises(DataError, match="differ from the prompt"):
            load([row])


@pytest.mark.parametrize(
    "call",
    [
        {"name": "weather", "args": {"city": "Oslo"}},
        {"name": "weather", "input": {"city": "Oslo"}},
        {"type": "function", "function": {"name": "weather"}, "arguments": {"city": "Oslo"}},
        {"name": "weather", "arguments": {"city": "Oslo"}, "parameters": {"city": "Rome"}},
        {"name": "weather", "arguments": {"city": "Oslo"}, "result": "rain"},
    ],
)
def test_what_a_call_says_elsewhere_refuses_it(call):
    asked = {"role": "assistant", "content": "", "tool_calls": [call]}
    with pytest.raises(DataError, match="a call of"):
        load_demonstrations([{"messages": [ASK, asked]}])


def test_a_call_is_read_under_either_name_of_its_arguments():
    for call in ({"arguments": None, "parameters": {"city": "Oslo"}}, {"arguments": '{"city": "Oslo"}'}):
        asked = {"role": "assistant", "content": "", "tool_calls": [{"name": "weather", **call}]}
        (record,) = load_demonstrations([{"messages": [ASK, asked]}]).records
        assert '"city": "Oslo"' in record.messages[-1].tool_calls


def test_what_a_tool_says_beside_its_function_refuses_it():
    tool = {"type": "function", "description": "Only for towns.", "function": {"name": "weather"}}
    with pytest.raises(DataError, match="a tool of"):
        load_demonstrations([{"messages": [ASK, STAR], "tools": [tool]}])


@pytest.mark.parametrize(
    ("load", "row"),
    [
        (load_pairs, {"prompt": "Translate it.", "context": "Sun", "chosen": "Sun is a star.", "rejected": "No."}),
        (load_pairs, {"prompt": "Translate it.", "input": "Sun", "chosen": "Sun is a star.", "rejected": "No."}),
        (load_demonstrations, {"prompt": "Repeat the word.", "completion": "sun", "context": "sun"}),
        (load_pairs, PAIR | {"history": ["something earlier", ASK]}),
        (load_pairs, PAIR | {"messages": [ASK | {"images": ["x.png"]}, STAR]}),
        (load_pairs, PAIR | {"messages": [ASK, STAR | {"tool_calls": [{"name": "f"}]}]}),
    ],
)
def test_what_only_an_answer_repeats_and_what_is_no_text_is_not_passed_over(load, row):
    with pytest.raises(DataError, match=r"the field '\w+' holds"):
        load([row])


def test_what_the_prompt_says_already_is():
    row = {"prompt": "Translate it: Sun", "context": "Sun", "chosen": "Ein Stern.", "rejected": "No."}
    assert load_pairs([row]).verdict_counts == {"keep": 1}


def test_every_turn_of_a_transcript_is_a_turn():
    first, second = ("## Human:\na\n\n## Assistant:\nb\n\n## Human:\nc\n\n## Assistant:\n" + x for x in "de")
    (pair,) = load_pairs([{"text": [first, second], "score": [1, 2]}]).records
    assert [message.content for message in pair.prompt] == ["a", "b", "c"]
    assert (pair.chosen, pair.rejected) == ("e", "d")


def test_whole_transcripts_beside_their_prompt_are_read_as_transcripts():
    talks = {side: f"\n\nHuman: What is the sun?\n\nAssistant: {side}" for side in ("chosen", "rejected")}
    for prompt in ("\n\nHuman: What is the sun?\n\nAssistant:", "What is the sun?"):
        (pair,) = load_pairs([{"prompt": prompt, **talks}]).records
        assert [message.content for message in pair.prompt] == ["What is the sun?"]
        assert (pair.chosen, pair.rejected) == ("chosen", "rejected")
        assert load_prompts([{"prompt": prompt, **talks}]).records[0].messages == pair.prompt


HH = {side: f"\n\nHuman: What is the sun?\n\nAssistant: {side}" for side in ("chosen", "rejected")}


@pytest.mark.parametrize("row", [PAIR, TALKS, HH], ids=["prompt", "messages", "transcripts"])
@pytest.mark.parametrize(
    ("scores", "gap"),
    [
        ({"chosen_score": 9, "rejected_score": 2}, 7),
        ({"chosen_score": "9", "rejected_score": 2.5}, 6.5),
        ({"meta": {"score_chosen": 3, "score_rejected": 1}}, 2),
        ({"chosen_score": "N/A", "rejected_score": "N/A"}, None),
        ({"chosen_score": 5, "rejected_score": "5.0"}, "tie"),
        ({"meta": {"score_chosen": 3, "score_rejected": 3}}, "tie"),
    ],
)
def test_scores_of_the_sides_are_heard_in_every_format_of_pairs(row, scores, gap):
    found = load_pairs([row | scores, PAIR | {"prompt": "another"}], on_bad_row="drop")
    if gap == "tie":
        assert found.verdict_counts == {"keep": 1, "tie": 1}
    else:
        assert (found.records[0].gap, found.verdict_counts) == (gap, {"keep": 2})


def test_the_side_that_a_soft_label_prefers_is_the_good_one_wherever_it_is_written(tmp_path):
    rows = [PAIR | {"probability": 0.1}, PAIR | {"prompt": "even", "probability": 0.5}]
    for target, loaded in (("kto", load_labelled), ("messages", load_demonstrations)):
        pt.convert(rows, to=target, output=tmp_path / f"{target}.jsonl", on_bad_row="drop")
        records = loaded(tmp_path / f"{target}.jsonl").records
        if target == "kto":
            assert [(one.response, one.desirable) for one in records] == [("A lamp.", True), ("A star.", False)]
        else:
            assert [one.messages[-1].content for one in records] == ["A lamp."]


def test_a_message_that_is_spelled_in_two_ways_is_refused():
    with pytest.raises(DataError, match="mixes two spellings"):
        load_demonstrations([{"messages": [ASK | {"value": "What is the moon?"}, STAR]}])


def test_what_stands_inside_objects_is_listed():
    info = {"post": "A long story.", "context": "of last year", "mood": "sad"}
    row = {"info": info, "summaries": [{"text": "a", "weight": 2}, {"text": "b"}], "choice": 0}
    with pytest.raises(DataError, match=r"info\.context|weight"):
        load_pairs([row])


def test_a_column_without_a_name_is_listed_where_it_holds_more_than_numbers(tmp_path):
    for cell, listed in (("7", []), ("Be brief.", ["a column without a name"])):
        (tmp_path / "rows.csv").write_text(f",prompt,chosen,rejected\n{cell},Q,A,B\n")
        assert [one.name for one in load_pairs(tmp_path / "rows.csv").unread] == listed


def test_says_nothing_knows_what_a_file_fills_in():
    assert all(map(says_nothing, (None, "", " ", [], {}, float("nan"), [None, {"a": ""}])))
    assert not any(map(says_nothing, (0, False, "0", [0])))


def objects_in(value, path=()):
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if path and isinstance(value, dict):
        yield path
    for key, one in held:
        yield from objects_in(one, (*path, key))


@pytest.mark.parametrize("kind", list(TABLES))
def test_what_stands_inside_any_object_is_listed_or_refused(kind):
    for one in TABLES[kind]:
        for path in objects_in(one.example):
            for name, value in (("context", "of last year"), ("mood", 5), ("label", False)):
                row = copy.deepcopy(one.example)
                reduce(lambda held, key: held[key], path, row)[name] = value
                reader = Reader([one])
                try:
                    reader.read(row, Origin(file="rows", line=1))
                except BadRow:
                    continue
                assert reader.unread.listed(), f"{one.name}: {name} in {path} is passed over"


def test_a_context_of_a_webgpt_question_refuses_the_row():
    row = {"question": {"full_text": "Q", "dataset": "eli5", "id": "1"}, "answer_0": "x", "answer_1": "y"}
    row |= {"score_0": 1, "score_1": -1}
    assert load_pairs([row]).unread == ()
    told = row | {"question": row["question"] | {"context": "of last year", "mood": ""}}
    with pytest.raises(DataError, match=r"'question\.context'"):
        load_pairs([told])


@pytest.mark.parametrize(
    ("load", "row", "neutral"),
    [
        (load_pairs, PAIR | {"swapped": True}, {"swapped": False}),
        (load_pairs, PAIR | {"tie": 1}, {"tie": "0"}),
        (load_pairs, PAIR | {"soft_label": 0.3}, {"soft_label": 1}),
        (load_pairs, PAIR | {"passage": "of last year"}, {"passage": "the sun"}),
        (load_pairs, PAIR | {"enable_thinking": False}, {"enable_thinking": None}),
        (load_demonstrations, {"messages": [ASK, STAR], "deleted": True}, {"deleted": False}),
        (load_demonstrations, {"messages": [ASK, STAR | {"deleted": True}]}, {"messages": [ASK, STAR]}),
        (load_demonstrations, {"messages": [ASK, STAR], "image_url": "sun.png"}, {"image_url": ""}),
        (load_labelled, {"messages": [ASK, STAR | {"label": True}], "label": False}, {"label": True}),
        (
            load_pairs,
            {"prompt": "Q", "response_0": "x", "response_1": "y", "better_response_id": 0, "is_response_0_safe": False},
            {"is_response_1_safe": True},
        ),
    ],
)
def test_what_turns_a_row_round_or_takes_it_out_refuses_it(load, row, neutral):
    with pytest.raises(DataError, match="row"):
        load([row])
    assert load([row | neutral]).verdict_counts == {"keep": 1}

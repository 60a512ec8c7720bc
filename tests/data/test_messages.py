"""What messages say beside their text is read as records hold it, whatever spelling, or the row is refused."""

import json

import pytest

from penchant.data import Message, PreferencePair, guess_kind, load_demonstrations, load_pairs
from penchant.data.importers.messages import read_messages
from penchant.data.importers.packed import unpacked
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"word": "sun"}}}


def one(message, **options):
    (read,) = read_messages([message], "messages", **options)
    return read


def complaint(message, **options):
    with pytest.raises(BadRow) as caught:
        one(message, **options)
    return caught.value.code, caught.value.reason


def load(tmp_path, load_rows, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_rows(path, on_bad_row="drop")


@pytest.mark.parametrize(
    ("spelled", "role"),
    [
        ("developer", "developer"),
        ("function", "tool"),
        ("observation", "tool"),
        ("human", "user"),
        ("gpt", "assistant"),
    ],
)
def test_roles_are_read_in_the_spellings_that_data_has(spelled, role):
    assert one({"from": spelled, "value": "x"}) == Message(role=role, content="x")


@pytest.mark.parametrize(
    "said",
    [
        {"tool_calls": [CALL]},
        {"tool_calls": json.dumps([CALL])},
        {"tool_calls": [{"function": {"name": "look_up", "arguments": '{"word": "sun"}'}}]},
        {"tool_calls": [{"name": "look_up", "arguments": {"word": "sun", "other": None}}]},
        {"function_call": {"name": "look_up", "arguments": '{"word": "sun"}'}, "tool_calls": None},
        {"function_call": CALL["function"], "tool_calls": [CALL["function"]]},
    ],
    ids=str,
)
@pytest.mark.parametrize("content", [{"content": None}, {"content": ""}, {}], ids=str)
def test_calls_are_read_in_every_spelling(said, content):
    expected = Message(role="assistant", content="", tool_calls=[CALL])
    assert one({"role": "assistant", **content, **said}) == expected


def test_a_call_keeps_its_id_and_the_result_says_whose_it_is():
    message = one({"role": "assistant", "content": "wait", "tool_calls": [{"id": "c1", **CALL}]})
    assert json.loads(message.tool_calls) == [{"type": "function", "id": "c1", "function": CALL["function"]}]
    result = one({"role": "tool", "content": "warm", "tool_call_id": "c1", "name": "look_up"})
    assert result == Message(role="tool", content="warm", tool_call_id="c1", name="look_up")
    assert one({"role": "function", "name": "look_up", "content": "warm"}).name == "look_up"


def test_a_turn_of_sharegpt_may_be_a_call():
    message = one({"from": "function_call", "value": json.dumps(CALL["function"])})
    assert message == Message(role="assistant", content="", tool_calls=[CALL])
    assert complaint({"from": "function_call", "value": "look up the sun"})[0] == "bad_type"


@pytest.mark.parametrize(
    "call",
    [
        {"name": "f", "arguments": "the sun"},
        {"name": "f", "arguments": [1]},
        {"function": {"arguments": {"x": 1}}},
        "look up",
        {"type": "custom", "name": "f"},
    ],
    ids=str,
)
def test_a_call_that_cannot_be_read_refuses_the_row(call):
    assert complaint({"role": "assistant", "content": "", "tool_calls": [call]})[0] in ("bad_type", "unread_field")


def test_a_null_written_in_json_text_is_an_argument():
    message = one({"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": '{"x": null}'}})
    assert json.loads(message.tool_calls)[0]["function"]["arguments"] == {"x": None}


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_read_by_each_of_its_names_and_belongs_to_the_assistant(name):
    assert one(BOT | {name: "hm"}) == Message(role="assistant", content="R", reasoning="hm")
    assert complaint(USER | {name: "hm"})[0] == "bad_type"
    assert complaint(BOT | {name: "hm", "reasoning_content": "so", "thinking": "no"})[0] == "bad_type"


def test_content_in_parts_is_joined_with_nothing_between_and_parts_that_are_no_text_refuse_the_row():
    parts = [{"type": "text", "text": "A"}, {"type": "text", "text": " star", "image": None}, {"text": "."}]
    assert one(USER | {"content": parts}).content == "A star."
    image = {"type": "image_url", "image_url": {"url": "a.png"}}
    assert complaint(USER | {"content": [*parts, image]}) == (
        "unread_field",
        "'content' has a part of type 'image_url', and only text is read",
    )
    assert complaint(USER | {"content": ["A", "star"]})[0] == "bad_type"


@pytest.mark.parametrize("name", ["images", "audio", "video", "refusal", "train_detail"])
def test_what_is_no_text_in_a_message_refuses_the_row(name):
    assert complaint(BOT | {name: "x"})[0] == "unread_field"
    assert one(BOT | {name: None}) == Message(role="assistant", content="R")


def test_a_message_spelled_in_two_ways_is_refused():
    assert complaint({"from": "gpt", "value": "A", "role": "assistant", "content": "B"})[0] == "bad_type"
    assert one({"from": "gpt", "value": "A", "role": None, "content": None}).content == "A"


@pytest.mark.parametrize(
    ("said", "weight"),
    [
        ({"weight": 0}, 0.0),
        ({"weight": "0.5"}, 0.5),
        ({"train": False}, 0.0),
        ({"trainable": "false"}, 0.0),
        ({"loss_mask": 0}, 0.0),
        ({"loss": False}, 0.0),
        ({"training": False}, 0.0),
        ({"weight": 2, "train": True}, 2.0),
        ({"weight": None, "train": None}, 1.0),
    ],
    ids=str,
)
def test_weights_of_answers_reach_the_demonstration_in_every_spelling_and_nothing_else(said, weight):
    assert one(BOT | said, trained=True).weight == weight
    assert one(BOT | said).weight == 1, "a prompt is not trained on"


def test_weights_that_cannot_be_meant_refuse_the_row():
    for said in (
        {"weight": -1},
        {"weight": "much"},
        {"weight": float("inf")},
        {"train": "maybe"},
        {"loss_mask": [0, 1]},
    ):
        assert complaint(BOT | said, trained=True)[0] == "bad_type"
    assert complaint(USER | {"train": True}, trained=True)[0] == "unread_field"
    assert one(USER | {"train": False, "weight": 0}, trained=True) == Message(role="user", content="Q")


def test_in_a_pair_weights_of_the_prompt_say_nothing_and_one_of_the_response_refuses_the_row(tmp_path):
    prompt = [USER, BOT | {"weight": 0}, USER]
    rows = [
        {"prompt": prompt, "chosen": [*prompt, BOT | {"weight": 1}], "rejected": "S"},
        {"chosen": [*prompt, BOT], "rejected": [*prompt, BOT | {"content": "S"}]},
        {"prompt": prompt, "chosen": BOT | {"weight": 0}, "rejected": "S"},
        {"chosen": [*prompt, BOT | {"train": False}], "rejected": [*prompt, BOT | {"content": "S"}]},
    ]
    found = load(tmp_path, load_pairs, *rows)
    assert found.verdict_counts == {"keep": 1, "duplicate": 1, "unread_field": 2}
    assert {m.weight for m in found.records[0].prompt} == {1.0}
    assert "weight 0" in found.problems[1].reason


def test_a_response_that_calls_or_reasons_is_a_message_and_any_other_its_text(tmp_path):
    chosen = {"role": "assistant", "content": None, "tool_calls": [CALL], "name": "model A"}
    rejected = {"role": "assistant", "content": "I guess.", "name": "model B"}
    (pair,) = load(tmp_path, load_pairs, {"prompt": "Q", "chosen": chosen, "rejected": rejected}).records
    expected = PreferencePair(
        prompt=(Message(role="user", content="Q"),),
        chosen=Message(role="assistant", content="", tool_calls=[CALL]),
        rejected="I guess.",
    )
    assert pair.model_copy(update={"origin": None}) == expected


def test_unknown_fields_of_messages_are_listed_by_the_field_that_holds_them(tmp_path):
    rows = [{"messages": [USER | {"mood": "good", "id": 3}, BOT | {"mood": "bad"}]}, {"messages": [USER, BOT]}]
    found = load(tmp_path, load_demonstrations, *rows)
    assert [(field.name, field.num_rows) for field in found.unread] == [("messages[].mood", 1)]


def test_tools_may_stand_in_the_first_message_and_nowhere_else(tmp_path):
    system = {"role": "system", "content": "S", "tools": [{"name": "look_up"}]}
    found = load(
        tmp_path, load_demonstrations, {"messages": [system, USER, BOT]}, {"messages": [USER, BOT, system, BOT]}
    )
    assert json.loads(found.records[0].messages[0].tools)[0]["function"] == {"name": "look_up"}
    assert found.verdict_counts == {"keep": 1, "bad_type": 1}


SPELLED = {"json": json.dumps, "repr": repr}


@pytest.mark.parametrize("spell", SPELLED.values(), ids=SPELLED)
def test_messages_kept_as_text_are_the_messages(tmp_path, spell):
    answer = BOT | {"content": 'It\'s "warm", \\d and\nbig'}
    rows = [
        {"prompt": spell([USER]), "chosen": spell([answer]), "rejected": spell(BOT)},
        {"chosen": spell([USER, answer]), "rejected": spell([USER, BOT])},
        {"conversations": spell([{"from": "human", "value": "Q"}]), "chosen": spell(answer), "rejected": "R"},
    ]
    found = load(tmp_path, load_pairs, *rows)
    assert found.format == "prompt_chosen_rejected, shared_prefix, sharegpt_pair"
    assert {(pair.prompt, pair.chosen, pair.rejected) for pair in found.records} == {
        ((Message(role="user", content="Q"),), answer["content"], "R")
    }
    assert load(tmp_path, load_demonstrations, {"messages": spell([USER, BOT])}).format == "messages"


NAMED = (
    ("question", "chosen", "rejected"),
    ("query", "chosen", "rejected"),
    ("input", "chosen", "rejected"),
    ("instruction", "chosen", "rejected"),
    ("prompt", "chosen_response", "rejected_response"),
    ("question", "response_j", "response_k"),
    ("input", "accepted", "rejected"),
    ("query", "response", "rejected_response"),
    ("context", "good_edited_response", "bad_edited_response"),
    ("context", "edited_response", "original_response"),
)


@pytest.mark.parametrize("spell", SPELLED.values(), ids=SPELLED)
@pytest.mark.parametrize("names", NAMED, ids="-".join)
def test_messages_kept_as_text_are_the_messages_whatever_the_columns_are_called(tmp_path, names, spell):
    held = dict(zip(names, (spell([USER]), spell([BOT]), spell([BOT | {"content": "S"}])), strict=True))
    held |= {"response": "R"} if "response" in names else {}  # an answer of other formats, which is text there
    (pair,) = load(tmp_path, load_pairs, held).records
    assert (pair.prompt, pair.chosen, pair.rejected) == ((Message(role="user", content="Q"),), "R", "S")


@pytest.mark.parametrize("spell", SPELLED.values(), ids=SPELLED)
def test_the_rejected_side_beside_messages_may_be_kept_as_text(tmp_path, spell):
    other = [USER, BOT | {"content": "S"}]
    for beside in ({"rejected_messages": spell(other)}, {"rejected_response": spell(other[1:])}):
        (pair,) = load(tmp_path, load_pairs, {"messages": [USER, BOT]} | beside).records
        assert (pair.chosen, pair.rejected) == ("R", "S")


@pytest.mark.parametrize("spell", SPELLED.values(), ids=SPELLED)
def test_a_document_that_is_messages_kept_as_text_is_not_learned_by_heart(spell):
    row = {"text": spell([USER, BOT])}
    with pytest.raises(DataError, match="'text' is a list of messages written as text"):
        load_demonstrations([row])
    (record,) = load_demonstrations([row], columns={"text": "messages"}).records
    assert [message.content for message in record.messages] == ["Q", "R"]
    assert load_demonstrations([{"text": '{"answer": 42}'}]).verdict_counts == {"keep": 1}


def test_an_instruction_may_be_about_messages_and_is_none():
    row = {"instruction": "Who speaks?", "input": json.dumps([USER, BOT]), "output": "A user and a machine."}
    (record,) = load_demonstrations([row]).records
    assert record.messages[0].content == f"Who speaks?\n\n{row['input']}"


TWICE = {
    "json of json": lambda value: json.dumps(json.dumps(value)),
    "json of json of json": lambda value: json.dumps(json.dumps(json.dumps(value))),
    "repr of json": lambda value: repr(json.dumps(value)),
    "json of repr": lambda value: json.dumps(repr(value)),
    "a list of json": lambda value: json.dumps([json.dumps(one) for one in value]),
    "json in a list": lambda value: json.dumps([json.dumps(value)]),
}


@pytest.mark.parametrize("spell", TWICE.values(), ids=TWICE)
def test_messages_that_were_written_as_text_twice_are_the_messages(tmp_path, spell):
    answer = BOT | {"content": 'It\'s "warm", \\d and\nbig'}
    rows = [
        {"prompt": spell([USER]), "chosen": spell([answer]), "rejected": spell([BOT])},
        {"chosen": spell([USER, answer]), "rejected": spell([USER, BOT])},
    ]
    found = load(tmp_path, load_pairs, *rows)
    assert {(pair.prompt, pair.chosen, pair.rejected) for pair in found.records} == {
        ((Message(role="user", content="Q"),), answer["content"], "R")
    }
    for name in ("chosen", "question", "instruction"):
        with pytest.raises(BadRow, match="begins like a list of messages"):
            unpacked({name: spell([answer])[:-2]})


@pytest.mark.parametrize("name", ["question", "query", "input", "instruction", "text"])
@pytest.mark.parametrize(
    "text",
    [
        '{"from": "USD", "to": "EUR"}\nWrite code that parses this.',
        '{"role": "admin"} convert this to XML',
        '[{"from": "a", "x": 1}] is what the server says',
    ],
)
def test_a_question_about_an_object_is_text(tmp_path, name, text):
    row = {"text": text} if name == "text" else {name: text, "chosen": "a", "rejected": "b"}
    if name == "text":
        assert load(tmp_path, load_demonstrations, row).records[0].text == text
    else:
        assert load(tmp_path, load_pairs, row).records[0].prompt[0].content == text


@pytest.mark.parametrize(
    "text",
    [
        '"Hello," she said.',
        "'tis the season",
        '"[{',
        '"{\\"name\\": 1}"',
        json.dumps("a text"),
        "[1] is the first footnote.",
        '["a", 1]',
        "[]",
        "{}",
        '{"answer": 42}',
        '{"role": "admin"}',
        '[{"name": "x"}]',
        "[{'name': 'x'}]",
        "[{'name': 'user'}, 3]x",
        "{'name': 'x', 'role': 'admin', 'rights': [",
        "[" * 5000,
        "{[" * 200 + "'",
        "[{'a': " * 300,
        "\x00[",
    ],
    ids=lambda text: text[:24],
)
def test_other_text_that_begins_with_a_bracket_stays_text(text):
    row = {"prompt": text, "chosen": text, "completion": text}
    assert unpacked(row) == row


NUMPY = "[{'content': 'Q', 'role': 'user'}\n {'content': 'R', 'role': 'assistant'}]"


@pytest.mark.parametrize(
    "text",
    [
        NUMPY,
        '[{"role": "user", "content": "cut o',
        '{"role": "assistant", "content": "x"}]',
        "[{'name': None, 'role': 'user', 'content': 'cut o",
        '[{"weight": 1, "content": "Q", "role": "user"} {"weight": 1, "content": "R", "role": "assistant"}]',
    ],
)
def test_text_that_begins_as_messages_and_is_none_is_refused_and_not_learned_by_heart(tmp_path, text):
    found = load(
        tmp_path, load_pairs, {"prompt": "Q", "chosen": "A", "rejected": "B"}, {"chosen": text, "rejected": "B"}
    )
    assert found.verdict_counts == {"keep": 1, "bad_type": 1}
    assert "'chosen' is text that begins like a list of messages" in found.problems[0].reason


def test_a_prompt_kept_as_a_list_of_texts_is_its_only_text_and_several_lack_their_answers():
    assert unpacked({"prompt": '["What is the sun?"]'}) == {"prompt": "What is the sun?"}
    assert unpacked({"chosen": '["What is the sun?"]'}) == {"chosen": '["What is the sun?"]'}
    with pytest.raises(BadRow, match="a list of 2 texts"):
        unpacked({"prompt": '["What is the sun?", "And the moon?"]'})


def test_messages_with_calls_survive_parquet_and_the_nulls_it_fills_in(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    other = {"type": "function", "function": {"name": "add", "arguments": {"x": 1}}}
    messages = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL, other]},
        {"role": "tool", "content": "2"},
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist([{"messages": [*messages, BOT]}]), tmp_path / "a.parquet")
    found = load_demonstrations(tmp_path / "a.parquet")
    assert json.loads(found.records[0].messages[1].tool_calls) == [CALL, other]
    assert found.unread == ()


def test_the_cases_that_were_misread_are_read_as_they_are_meant(shared):
    cases = shared / "cases"
    pair = load_pairs(cases / "system_column.jsonl").records[0]
    assert [m.role for m in pair.prompt] == ["system", "user"]
    assert load_pairs(cases / "tools_column.jsonl").records[0].prompt[0].tools
    assert load_pairs(cases / "function_call_legacy.jsonl").records[0].prompt[1].tool_calls
    for name in ("json_strings", "repr_strings"):
        pair = load_pairs(cases / f"{name}.jsonl").records[0]
        assert (pair.prompt[0].content, pair.chosen, pair.rejected) == ("what is the sun?", "a star", "a lamp")
    turns = load_demonstrations(cases / "history_alpaca.jsonl").records[0].messages
    assert [m.content for m in turns] == ["hello", "hi", "what is the sun?", "a star"]
    assert load_demonstrations(cases / "sharegpt_sft_system.jsonl").records[0].messages[0].role == "system"
    for name in ("msg_weight", "msg_train_false"):
        turns = load_demonstrations(cases / f"{name}.jsonl").records[0].messages
        assert [m.weight for m in turns if m.role == "assistant"] == [0.0, 1.0]
    turns = load_demonstrations(cases / "mt_sft.jsonl").records[0].messages
    assert [m.weight for m in turns if m.role == "assistant"] == [1.0, 1.0]
    with pytest.raises(DataError, match=r"pairs_one_without_rejected\.jsonl:2: the field 'rejected' is missing"):
        load_pairs(cases / "pairs_one_without_rejected.jsonl")


def test_a_turn_of_weight_zero_in_the_prompt_of_a_completion_is_not_imitated(tmp_path):
    bad = {"role": "assistant", "content": "bad", "weight": 0}
    prompt = [{"role": "user", "content": "q"}, bad, {"role": "user", "content": "again"}]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": prompt, "completion": "good"}) + "\n")
    (record,) = load_demonstrations(path).records
    assert [message.weight for message in record.messages] == [1, 0, 1, 1]


def test_a_prompt_that_is_a_transcript_is_its_turns(tmp_path):
    prompt = "\n\nHuman: What is the sun?\n\nAssistant: A star.\n\nHuman: Why?\n\nAssistant:"
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": text, "chosen": "a", "rejected": "b"} for text in (prompt, "Human: is a word", "Why Assistant:")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [[(m.role, m.content) for m in pair.prompt] for pair in load_pairs(path).records]
    assert found[0] == [("user", "What is the sun?"), ("assistant", "A star."), ("user", "Why?")]
    assert found[1:] == [[("user", "Human: is a word")], [("user", "Why Assistant:")]]


def test_a_part_of_text_that_holds_more_is_refused(tmp_path):
    part = {"text": "what is this?", "image_url": {"url": "x.png"}}
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"prompt": [{"role": "user", "content": [part]}], "chosen": "a", "rejected": "b"}) + "\n"
    )
    with pytest.raises(DataError, match="a part with 'image_url' beside its text"):
        load_pairs(path)


def test_a_label_without_a_value_and_tools_of_nothing_say_nothing(tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("prompt,completion,label\nq,a,\nr,b,\n")
    assert guess_kind(table) == "demonstrations"
    assert len(load_demonstrations(table).records) == 2
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "q", "chosen": "a", "rejected": "b", "tools": [{"name": None}]}) + "\n")
    assert load_pairs(path).verdict_counts == {"keep": 1}


def test_the_answers_of_a_prompt_that_is_a_list_as_text_are_such_lists_too(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"prompt": '["q one"]', "chosen": '["a good one"]', "rejected": '["a bad one"]'}
    path.write_text(json.dumps(row) + "\n")
    (pair,) = load_pairs(path).records
    assert (pair.prompt[0].content, pair.chosen, pair.rejected) == ("q one", "a good one", "a bad one")
    path.write_text(json.dumps(row | {"chosen": '["a", "b"]'}) + "\n")
    with pytest.raises(DataError, match="'chosen' is a list of 2 texts"):
        load_pairs(path)
    path.write_text(json.dumps(row | {"prompt": "list one", "chosen": '["a"]'}) + "\n")
    assert load_pairs(path).records[0].chosen == '["a"]', "beside a plain prompt it is a text"


def called(*names, ids=()):
    own = [*ids] or [None] * len(names)
    calls = [{"id": one, "name": name} for one, name in zip(own, names, strict=True)]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def result(content, **more):
    return {"role": "tool", "content": content, **more}


@pytest.mark.parametrize(
    ("asked", "results"),
    [
        (called("f", "g"), [result("of g", name="g"), result("of f", name="f")]),
        (called("f", "g"), [result("of f", name="f"), result("of g")]),
        (called("f", "g"), [result("of f"), result("of g")]),
        (called("f", "g"), [result("of f", name="tool"), result("of g", name="tool")]),
        (called("f", "f", ids="ab"), [result("of g", tool_call_id="b"), result("of f", tool_call_id="a")]),
        (called("g", "f", ids="ab"), [result("of g", tool_call_id="b"), result("of f", tool_call_id="a", name="g")]),
        (called("f", "g", ids="ab"), [result("of g", name="g"), result("of f", tool_call_id="a")]),
        (called("f", "g", ids="xx"), [result("of g", name="g", tool_call_id="x"), result("of f", name="f")]),
        (called("f", "g"), [result("of g", name="g"), result("of f")]),
        (called("f", "f", ids="ab"), [result("of g", name="f"), result("of f", tool_call_id="a")]),
    ],
)
def test_results_of_calls_made_at_once_stand_in_the_order_of_their_calls(asked, results):
    before, after = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}
    messages = read_messages([before, asked, *results, after, before, asked, *results], "messages")
    assert [one.content for one in messages] == ["Q", "", "of f", "of g", "A", "Q", "", "of f", "of g"]


@pytest.mark.parametrize(
    "results",
    [
        [result("of g", name="g"), result("of g", name="g"), result("whose?")],
        [result("of g", name="g"), result("of g", name="g")],
        [result("of g", tool_call_id="b"), result("of g", tool_call_id="b")],
        [result("of g", tool_call_id="a", name="g"), result("of f", tool_call_id="b")],
    ],
)
def test_a_result_that_may_be_anybodys_is_refused(results):
    with pytest.raises(BadRow, match=r"not in the order of its calls|of another"):
        read_messages([called("f", "g", ids="ab"), *results], "messages")


def test_of_three_results_out_of_order_two_that_say_nothing_are_refused():
    results = [result("of h", name="h"), result("whose?"), result("whose?")]
    with pytest.raises(BadRow, match="not in the order of its calls, and one could belong to several calls"):
        read_messages([called("f", "g", "h"), *results], "messages")

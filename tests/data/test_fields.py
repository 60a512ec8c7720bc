"""No field that changes what a row means is passed over: it is read, or the row is refused, or it is listed."""

import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import Origin, load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.data.fields import in_words
from penchant.data.importers import DEMONSTRATION_IMPORTERS, LABELLED_IMPORTERS, PAIR_IMPORTERS, PROMPT_IMPORTERS
from penchant.data.importers.messages import READ_OF_MESSAGE
from penchant.data.importers.vote_formats import VOTE_IMPORTERS
from penchant.data.inspection import inspect_demonstrations, inspect_labelled, inspect_pairs, inspect_prompts
from penchant.data.meanings import HARMLESS, MEANINGFUL
from penchant.data.rows import Reader
from penchant.data.verdicts import CODES, BadRow
from penchant.errors import DataError

USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}
PAIR = {"prompt": "Q", "chosen": "good", "rejected": "bad"}
SHARED = {"chosen": [USER, BOT], "rejected": [USER, BOT | {"content": "S"}]}
HH = {"chosen": "\n\nHuman: Q\n\nAssistant: R", "rejected": "\n\nHuman: Q\n\nAssistant: S"}
SHAREGPT_PAIR = {
    "conversations": [{"from": "human", "value": "Q"}],
    "chosen": {"from": "gpt", "value": "R"},
    "rejected": {"from": "gpt", "value": "S"},
}
MESSAGES = {"messages": [USER, BOT]}
SHAREGPT = {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "R"}]}
COMPLETION = {"prompt": "Q", "completion": "R"}
ALPACA = {"instruction": "Q", "output": "R"}
LABELLED = COMPLETION | {"label": True}
CONVERSATIONS = [
    *((load_pairs, row) for row in (PAIR, SHARED, HH, SHAREGPT_PAIR)),
    *((load_demonstrations, row) for row in (MESSAGES, SHAREGPT, COMPLETION, ALPACA)),
    *((load_labelled, row | {"label": True}) for row in (MESSAGES, SHAREGPT, COMPLETION, ALPACA)),
    *((load_prompts, row) for row in ({"prompt": "Q"}, {"messages": [USER]}, {"text": "Q"})),
]
EVERY_SHAPE = pytest.mark.parametrize(
    ("load", "row"), CONVERSATIONS, ids=lambda one: getattr(one, "__name__", str(one))
)
TABLES = (
    (inspect_pairs, PAIR_IMPORTERS),
    (inspect_labelled, LABELLED_IMPORTERS),
    (inspect_demonstrations, DEMONSTRATION_IMPORTERS),
    (inspect_prompts, PROMPT_IMPORTERS),
    (None, VOTE_IMPORTERS),
)
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {}}}


@pytest.fixture
def read(tmp_path):
    """What a loader makes of rows: (the records, what it found)."""

    def run(load, *rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        found = load(path, on_bad_row="drop")
        return found.records, found

    return run


def refusal(read, load, row):
    """The verdict on a row, beside which a sound one stands."""
    sound = next(other for loader, other in CONVERSATIONS if loader is load)
    _, found = read(load, sound | {"id": "sound"}, row)
    (verdict,) = found.problems
    return verdict.code, verdict.reason


def conversation(record):
    return getattr(record, "prompt", None) or record.messages


@EVERY_SHAPE
def test_system_beside_a_conversation_of_any_shape_becomes_its_first_message(read, load, row):
    (record, *_), found = read(load, row | {"system": "Answer in French."})
    first, second = conversation(record)[:2]
    assert (first.role, first.content) == ("system", "Answer in French.")
    assert (second.role, second.content) == ("user", "Q")
    assert found.unread == ()


@EVERY_SHAPE
@pytest.mark.parametrize("spelled", [[TOOL], json.dumps([TOOL]), [TOOL["function"]]], ids=["list", "text", "bare"])
@pytest.mark.parametrize("name", ["tools", "functions"])
def test_tools_beside_a_conversation_of_any_shape_stand_on_its_first_message(read, load, row, name, spelled):
    (record, *_), _ = read(load, row | {name: spelled})
    assert json.loads(conversation(record)[0].tools) == [TOOL]
    (record, *_), _ = read(load, row | {name: spelled, "system": "S"})
    assert [bool(message.tools) for message in conversation(record)[:2]] == [True, False]


@EVERY_SHAPE
def test_a_field_that_says_nothing_is_nothing(read, load, row):
    empty = {
        "system": "",
        "tools": [],
        "history": None,
        "images": [None, {"path": None}],
        "my_column": " ",
        "thinking": {"a": [None]},
        "weight": float("nan"),
    }
    records, found = read(load, row | empty)
    assert len(records) >= 1
    assert found.unread == ()


@EVERY_SHAPE
def test_other_fields_are_listed_once_and_harmless_ones_never(read, load, row):
    rows = [
        row | {"id": "1", "score": 3, "source": "web"},
        row | {"id": "2", "mine": 0},
        row | {"id": "3", "mine": "x"},
    ]
    _, found = read(load, *rows)
    (listed,) = found.unread
    assert (listed.name, listed.num_rows, listed.first.line) == ("mine", 2, 2)
    assert in_words(found.unread) == f"fields not read: mine (in 2 rows, first at {listed.first})"


@EVERY_SHAPE
@pytest.mark.parametrize("field", ["images", "System_Prompt", "chat_history", "chosen_thinking", "loss_mask"])
def test_a_field_that_changes_the_meaning_and_is_not_read_refuses_the_row(read, load, row, field):
    code, reason = refusal(read, load, row | {field: [0, "x"]})
    assert code == "unread_field"
    assert f"'{field}'" in reason


@pytest.mark.parametrize(
    "beside",
    [{"label": False}, {"Weight": 0}, {"loss_weight": 0}, {"mask": 1}, {"masked": True}, {"history": [["a", "b"]]}],
    ids=str,
)
@pytest.mark.parametrize("name", ["messages", "conversations"])
def test_a_field_of_a_message_that_changes_its_meaning_and_is_not_read_refuses_the_row(read, name, beside):
    code, reason = refusal(read, load_demonstrations, {name: [USER, BOT | beside, USER, BOT]})
    assert (code, f"the field '{next(iter(beside))}' of '{name}[1]'" in reason) == ("unread_field", True)


def test_a_field_of_a_message_that_changes_nothing_does_no_harm_and_others_are_listed(read):
    rows = [
        {"messages": [USER | {"label": 3, "train": False}, BOT | {"label": True, "loss_weight": 1.0}]},
        {"messages": [USER, BOT | {"prompt": "x", "mine": 1}]},
    ]
    records, found = read(load_demonstrations, *rows)
    assert (len(records), records[0].messages[1].weight) == (2, 1)
    assert [field.name for field in found.unread] == ["messages[].label", "messages[].mine", "messages[].prompt"]


@pytest.mark.parametrize("field", ["context", "documents", "mask", "is_good", "labels", "system_instruction"])
@pytest.mark.parametrize("row", [MESSAGES, SHAREGPT, COMPLETION, ALPACA], ids=str)
def test_what_an_answer_rests_on_or_says_how_it_is_meant_is_not_passed_over(read, row, field):
    code, reason = refusal(read, load_demonstrations, row | {field: "The sun is cold."})
    assert (code, f"'{field}'" in reason) == ("unread_field", True)
    if field in ("context", "documents"):
        assert read(load_demonstrations, row | {field: "Q"})[1].verdict_counts == {"keep": 1}


def test_messages_under_any_name_have_their_unknown_fields_listed(read):
    row = {"question": [USER | {"mine": 1}], "chosen": "good", "rejected": "bad"}
    assert [field.name for field in read(load_pairs, row)[1].unread] == ["question[].mine"]


def test_no_field_is_both_harmless_and_meaningful_and_every_importer_reads_what_it_needs():
    assert HARMLESS.isdisjoint(MEANINGFUL)
    for _, table in TABLES:
        for one in table:
            assert set(one.needs) <= one.reads, one.name
            assert set(one.example) <= one.reads, one.name


@pytest.mark.parametrize("row", [MESSAGES, SHAREGPT, COMPLETION, ALPACA], ids=str)
@pytest.mark.parametrize("label", [False, 0, "false"])
def test_what_a_label_calls_bad_is_not_imitated_and_the_reason_says_who_learns_from_it(read, row, label):
    good = row | {"label": True, "id": "good"}
    records, found = read(load_demonstrations, good, row | {"label": label, "system": "other"})
    assert len(records) == 1
    assert found.verdict_counts == {"keep": 1, "not_desirable": 1}
    assert 'objective="kto"' in str(found.problems[0])
    assert found.problems[0].severity == "no_pair"
    assert refusal(read, load_demonstrations, row | {"label": "maths"})[0] == "bad_type"


@pytest.mark.parametrize("row", [MESSAGES, SHAREGPT, COMPLETION, ALPACA], ids=str)
def test_labelled_rows_may_have_any_form_of_conversation_and_a_weight(read, row):
    (record,), _ = read(load_labelled, row | {"label": False, "weight": 0.5})
    assert (record.prompt[0].content, record.response, record.desirable, record.weight) == ("Q", "R", False, 0.5)


def test_the_class_of_a_text_is_no_judgement_of_it(read):
    records, found = read(load_demonstrations, {"text": "a bad film", "label": 0})
    assert (len(records), found.unread) == (1, ())


@pytest.mark.parametrize("row", [SHARED, HH, SHAREGPT_PAIR, PAIR], ids=str)
def test_weight_soft_label_and_margin_are_read_in_every_form_of_pair(read, row):
    (pair,), _ = read(load_pairs, row | {"weight": 0.5, "probability": 0.7, "margin": 2})
    assert (pair.weight, pair.probability, pair.margin) == (0.5, 0.7, 2.0)


def test_a_weight_that_nobody_reads_refuses_the_row_unless_it_changes_nothing(read):
    assert read(load_demonstrations, MESSAGES | {"weight": 1, "train": True})[1].verdict_counts == {"keep": 1}
    assert refusal(read, load_demonstrations, {"text": "Q", "weight": 0})[0] == "unread_field"
    assert refusal(read, load_demonstrations, MESSAGES | {"train": False})[0] == "unread_field"


@pytest.mark.parametrize("row", [MESSAGES, SHAREGPT, COMPLETION, ALPACA], ids=str)
def test_the_weight_of_a_row_is_that_of_every_answer_in_it(read, row):
    def weights(row):
        (record,), found = read(load_demonstrations, row)
        assert found.unread == ()
        return [message.weight for message in record.messages]

    assert weights(row | {"weight": 0.5}) == [1, 0.5]
    assert weights(row | {"weight": "2", "label": True}) == [1, 2]
    assert weights({"messages": [USER, BOT | {"weight": 0.5}, USER, BOT], "weight": 3}) == [1, 1.5, 1, 3]
    for bad in (-1, "much", float("inf"), [1]):
        assert refusal(read, load_demonstrations, row | {"weight": bad})[0] == "bad_type"


@pytest.mark.parametrize("name", ["reasoning_content", "thinking"])
@pytest.mark.parametrize("row", [MESSAGES, SHAREGPT, COMPLETION, ALPACA], ids=str)
def test_the_reasoning_beside_an_answer_is_the_answers(read, row, name):
    (record,), found = read(load_demonstrations, row | {name: "well now", "weight": 0.5})
    assert (record.messages[-1].content, record.messages[-1].reasoning, found.unread) == ("R", "well now", ())
    assert record.messages[-1].weight == 0.5
    (record,), _ = read(load_labelled, row | {name: "well now", "label": False})
    assert (record.response.reasoning, record.response.content, record.weight) == ("well now", "R", 1)
    assert refusal(read, load_demonstrations, row | {name: ["well"]})[0] == "bad_type"


def test_reasoning_beside_several_answers_or_another_reasoning_is_refused(read):
    code, reason = refusal(read, load_demonstrations, {"messages": [USER, BOT, USER, BOT], "thinking": "well"})
    assert (code, "to which one it belongs" in reason) == ("unread_field", True)
    said = {"messages": [USER, BOT | {"reasoning": "well"}]}
    assert read(load_demonstrations, said | {"thinking": "well "})[1].verdict_counts == {"keep": 1}
    assert refusal(read, load_demonstrations, said | {"thinking": "so"})[0] == "bad_type"


def test_a_preference_is_not_imitated_in_passing(read):
    code, reason = refusal(read, load_demonstrations, COMPLETION | {"rejected": "S"})
    assert (code, "'rejected' holds a response of a preference" in reason) == ("unread_field", True)
    code, _ = refusal(read, load_demonstrations, MESSAGES | {"rejected_messages": [USER, BOT | {"content": "S"}]})
    assert code == "unread_field"


def test_columns_that_repeat_the_conversation_do_no_harm_and_others_refuse_the_row(read):
    ultrafeedback = PAIR | {"chosen": [USER, BOT], "rejected": [USER, BOT | {"content": "S"}], "messages": [USER, BOT]}
    assert read(load_pairs, ultrafeedback)[1].verdict_counts == {"keep": 1}
    assert read(load_demonstrations, MESSAGES | {"prompt": "Q", "prompt_id": "7"})[1].verdict_counts == {"keep": 1}
    capybara = SHARED | {"conversation": [{"input": "Q", "output": "R"}]}
    assert read(load_pairs, capybara)[1].verdict_counts == {"keep": 1}
    rendered = {"text": "Human: What is the sun? Assistant: A star.", "prompt": "What is the sun?"}
    assert read(load_demonstrations, rendered)[1].verdict_counts == {"keep": 1}
    assert refusal(read, load_demonstrations, COMPLETION | {"prompt": "0", "desirable": "0"})[0] == "unread_field"
    spoken = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "I only speak French"}]
    assert refusal(read, load_pairs, PAIR | {"prompt": "What is His name", "history": spoken})[0] == "unread_field"
    other = {"conversations": [USER, BOT | {"content": "another answer"}]}
    assert refusal(read, load_demonstrations, MESSAGES | other)[0] == "unread_field"
    earlier = [{"role": "user", "content": "before"}, BOT, USER]
    assert refusal(read, load_pairs, PAIR | {"messages": earlier})[0] == "unread_field"
    assert refusal(read, load_demonstrations, MESSAGES | {"prompt": "You are a pirate."})[0] == "unread_field"


def test_prompts_are_taken_from_rows_of_training(read):
    (prompt,), found = read(load_prompts, PAIR | {"label": False, "weight": 0.5})
    assert (prompt.messages[0].content, found.unread) == ("Q", ())


def test_a_system_that_disagrees_with_the_messages_is_refused_and_one_that_repeats_them_is_not(read):
    system = {"role": "system", "content": "S"}
    (record,), _ = read(load_demonstrations, {"messages": [system, USER, BOT], "system": "S "})
    assert [m.role for m in record.messages] == ["system", "user", "assistant"]
    code, reason = refusal(read, load_demonstrations, {"messages": [system, USER, BOT], "system": "other"})
    assert (code, "is not the system message" in reason) == ("bad_type", True)


def test_the_repeated_prompt_of_a_response_may_leave_out_what_the_row_adds(read):
    row = PAIR | {"chosen": [USER, BOT], "rejected": [USER, BOT | {"content": "S"}], "system": "S"}
    (pair,), _ = read(load_pairs, row)
    assert ([m.content for m in pair.prompt], pair.chosen) == (["S", "Q"], "R")
    whole = [{"role": "system", "content": "S"}, USER, BOT]
    (pair,), _ = read(load_pairs, row | {"chosen": whole})
    assert pair.chosen == "R"


@pytest.mark.parametrize(
    "history",
    [[["hello", "hi"], ["more", "yes"]], json.dumps([["hello", "hi"], ["more", "yes"]])],
    ids=["list", "text"],
)
def test_the_history_of_an_alpaca_row_becomes_turns_that_are_imitated_too(read, history):
    (record,), _ = read(load_demonstrations, ALPACA | {"history": history, "system": "S"})
    assert [m.content for m in record.messages] == ["S", "hello", "hi", "more", "yes", "Q", "R"]
    assert [m.weight for m in record.messages if m.role == "assistant"] == [1, 1, 1]
    for bad in ([["hello"]], "[[", [["hello", 3]], {"hello": "hi"}):
        assert refusal(read, load_demonstrations, ALPACA | {"history": bad})[0] == "bad_type"


@pytest.mark.parametrize(("load", "row"), [(load_pairs, PAIR), (load_labelled, LABELLED)], ids=["pairs", "labelled"])
def test_a_prompt_is_not_empty_and_not_answered_in_any_kind(read, load, row):
    empty, answered = [" \n", [{"role": "system", "content": "S"}, USER | {"content": ""}]], [USER, BOT]
    for kind, one in ((load, row), (load_demonstrations, COMPLETION), (load_prompts, {"prompt": "Q"})):
        for prompt in empty:
            assert refusal(read, kind, one | {"prompt": prompt})[0] == "empty_prompt"
        assert refusal(read, kind, one | {"prompt": answered})[0] == "answered_prompt"
    assert refusal(read, load_demonstrations, ALPACA | {"instruction": ""})[0] == "empty_prompt"
    assert refusal(read, load_demonstrations, {"messages": [USER | {"content": " "}, BOT]})[0] == "empty_prompt"


def test_openai_pairs_are_read_with_their_tools(read):
    row = {
        "input": {"messages": [USER], "tools": [TOOL], "parallel_tool_calls": True},
        "preferred_output": [BOT],
        "non_preferred_output": [BOT | {"content": "S"}],
    }
    (pair,), _ = read(load_pairs, row)
    assert (pair.chosen, pair.rejected, json.loads(pair.prompt[0].tools)) == ("R", "S", [TOOL])
    _, found = read(load_pairs, row | {"input": {"messages": [USER | {"mine": 1}]}})
    assert [field.name for field in found.unread] == ["input.messages[].mine"]
    (pair,), _ = read(load_pairs, row | {"input": json.dumps(row["input"]), "preferred_output": json.dumps([BOT])})
    assert (pair.chosen, pair.prompt[0].content, json.loads(pair.prompt[0].tools)) == ("R", "Q", [TOOL])
    (pair,), _ = read(load_pairs, row | {"system": "Be kind."})
    assert [(turn.role, turn.content) for turn in pair.prompt] == [("system", "Be kind."), ("user", "Q")]
    other = TOOL | {"function": TOOL["function"] | {"name": "other"}}
    assert refusal(read, load_pairs, row | {"tools": [other]})[0] == "bad_type"
    row["input"]["response_format"] = {"type": "json"}
    assert refusal(read, load_pairs, row)[0] == "unread_field"


def test_what_a_vote_says_beside_its_outcome_is_read_listed_or_refused_too(read):
    vote = {"model_a": "x", "model_b": "y", "winner": "tie", "language": "en", "turn": 1}
    _, found = read(load_votes, vote | {"mine": 1})
    assert [field.name for field in found.unread] == ["mine"]
    _, found = read(load_votes, vote, vote | {"weight": 40})
    assert found.verdict_counts == {"keep": 1, "unread_field": 1}


def test_a_file_of_refused_rows_is_an_error_that_says_why(read):
    with pytest.raises(DataError, match="the field 'images' holds something other than text"):
        read(load_pairs, PAIR | {"images": ["a.png"]})


NAMES = sorted(set().union(*(one.reads for _, table in TABLES for one in table)) | {"images", "label", "mine", ""})
IN_MESSAGES = sorted(READ_OF_MESSAGE | {"mine"})
SCALARS = st.sampled_from(
    [None, "", "Q", " ", True, 0, 0.5, -1, float("nan"), "\ud800", "[", "{}", '["Q"]', '{"name": 1}']
)
VALUES = st.recursive(
    SCALARS,
    lambda value: st.one_of(
        st.lists(value, max_size=3),
        st.dictionaries(st.sampled_from(IN_MESSAGES), value, max_size=4),
        st.builds(
            lambda one, more: one | more,
            st.sampled_from([USER, BOT]),
            st.dictionaries(st.sampled_from(IN_MESSAGES), value, max_size=2),
        ),
        st.builds(lambda spell, value: spell(value), st.sampled_from([json.dumps, repr]), value),
    ),
    max_leaves=8,
)


@pytest.mark.slow(threads=1)
@settings(max_examples=200)
@given(st.data())
def test_whatever_a_row_holds_it_is_read_or_refused(data):
    row = dict(data.draw(st.sampled_from([one.example for _, table in TABLES for one in table])))
    row |= data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
    origin = Origin(file="rows.jsonl", line=1)
    for inspect, table in TABLES:
        try:  # what else is raised, the test raises
            (record, *_) = Reader(table).read(row, origin)
            verdict = inspect()(record.model_copy(update={"origin": origin}), origin) if inspect else None
        except BadRow as bad:
            verdict = bad.at(origin)
        assert verdict is None or (verdict.code in CODES and verdict.reason and verdict.fix)


def test_loading_leaves_the_search_for_cycles_as_it_was(read):
    for switch, is_on in ((gc.disable, False), (gc.enable, True)):
        switch()
        read(load_pairs, PAIR)
        with pytest.raises(DataError):
            read(load_pairs, {"strange": 1})
        assert gc.isenabled() is is_on


@pytest.mark.parametrize("strange", [{"prompt": "Q"}, {"messages": [USER, BOT]}], ids=["a prompt", "messages"])
def test_a_row_among_others_of_another_shape_is_told_what_those_have(read, strange):
    _, found = read(load_pairs, PAIR, strange)
    (problem,) = found.problems
    assert "'chosen' and 'rejected'" in problem.reason or "are not those of the other rows" in problem.reason


@pytest.mark.parametrize(
    ("load", "row"),
    [
        (load_prompts, PAIR | {"tie": True, "swapped": True, "soft_label": 0.7}),
        (load_demonstrations, COMPLETION | {"is_tie": True}),
        (load_demonstrations, {"text": "A story.", "image_url": "x.png"}),
        (load_pairs, PAIR | {"document": "doc_123", "passages": [{"id": 1, "score": 0.5}], "label": {"domain": "art"}}),
        (load_pairs, PAIR | {"swapped": "No", "tie": 0}),
        (load_demonstrations, {"messages": [{"role": "system", "content": "S"}, USER, BOT], "system_prompt": "S"}),
    ],
    ids=["prompts of pairs", "demonstrations", "a text with a picture", "ids", "no", "a repeated system message"],
)
def test_what_says_nothing_of_such_a_record_refuses_no_row(read, load, row):
    records, _ = read(load, row)
    assert len(records) == 1


@pytest.mark.parametrize(
    "beside",
    [{"tie": True}, {"soft_label": 0.7}, {"image_url": "x.png"}, {"passages": [{"text": "A long text.", "id": 1}]}],
    ids=str,
)
def test_and_what_does_say_something_refuses_a_pair(read, beside):
    assert refusal(read, load_pairs, PAIR | beside)[0] == "unread_field"

"""Records are frozen, survive a trip through JSON, and answers become pairs by one rule."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from penchant import data
from penchant.data import (
    Candidate,
    Comparison,
    Message,
    Origin,
    PreferencePair,
    Source,
    as_message,
    pairs_from_comparisons,
    prompt_key,
    response_key,
    shown,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
finite = st.floats(-100, 100)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts)
calls = st.lists(st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": texts})}), min_size=1, max_size=2)
rich = st.builds(
    Message,
    role=st.just("assistant"),
    content=texts,
    reasoning=st.none() | texts,
    tool_calls=st.none() | calls,
    tools=st.none() | calls,
    name=st.none() | texts,
    tool_call_id=st.none() | texts,
    weight=st.sampled_from([0.0, 0.5, 1.0]),
)
prompts = st.lists(messages | rich, max_size=3).map(tuple)
sources = st.builds(
    Source,
    model=texts,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    top_k=st.none() | st.integers(0, 100),
    max_new_tokens=st.none() | st.integers(1, 1000),
    seed=st.none() | st.integers(0, 2**63),
)
candidates = st.builds(Candidate, text=texts, source=st.none() | sources)
comparisons = st.builds(
    Comparison,
    id=texts,
    prompt=prompts,
    a=candidates,
    b=candidates,
    outcome=st.sampled_from([None, "a", "b", "tie", "both_bad"]),
    strength=st.none() | st.integers(1, 4),
    annotator=st.none() | texts,
    shown_first=st.sampled_from([None, "a", "b"]),
    created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    meta=st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=2),
)
pairs = st.builds(
    PreferencePair,
    prompt=prompts,
    chosen=texts | rich,
    rejected=texts | rich,
    weight=st.floats(0, 10),
    probability=st.floats(0, 1),
    margin=finite,
    origin=st.none() | st.builds(Origin, file=texts, line=st.integers(1, 1000)),
)


def test_every_exported_name_exists():
    assert sorted(data.__all__) == list(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)


@pytest.mark.slow(threads=1)
@given(comparisons)
def test_a_comparison_survives_a_trip_through_json(comparison):
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison


@pytest.mark.slow(threads=1)
@given(pairs)
def test_a_pair_survives_a_trip_through_json(pair):
    assert PreferencePair.model_validate_json(pair.model_dump_json()) == pair


@given(pairs)
def test_swap_flips_the_preference_and_twice_is_nothing(pair):
    swapped = pair.swap()
    assert (swapped.chosen, swapped.rejected) == (pair.rejected, pair.chosen)
    assert (swapped.prompt, swapped.weight, swapped.probability) == (pair.prompt, pair.weight, pair.probability)
    assert swapped.swap() == pair


def test_records_are_frozen_and_refuse_unknown_fields():
    pair = PreferencePair(prompt=(), chosen="x", rejected="y")
    with pytest.raises(ValidationError, match="frozen"):
        pair.chosen = "z"
    with pytest.raises(ValidationError, match="chozen"):
        PreferencePair(prompt=(), chosen="x", rejected="y", chozen="z")


@pytest.mark.parametrize(
    "field", [{"weight": -1.0}, {"weight": float("nan")}, {"probability": 1.1}, {"margin": float("inf")}]
)
def test_a_pair_refuses_numbers_without_meaning(field):
    with pytest.raises(ValidationError, match=next(iter(field))):
        PreferencePair(prompt=(), chosen="x", rejected="y", **field)


def test_an_origin_prints_as_file_and_line():
    assert str(Origin(file="pairs.jsonl", line=7)) == "pairs.jsonl:7"


def answered(outcome):
    prompt = (Message(role="user", content="Hi"),)
    when = datetime(2024, 1, 1, tzinfo=UTC)
    return Comparison(
        id="1", prompt=prompt, a=Candidate(text="A"), b=Candidate(text="B"), outcome=outcome, created_at=when
    )


def test_a_and_b_make_a_pair_and_every_other_answer_makes_none():
    made = pairs_from_comparisons([answered(o) for o in ("a", "tie", "b", "both_bad", None)])
    assert [(pair.chosen, pair.rejected) for pair in made] == [("A", "B"), ("B", "A")]
    assert made[0].prompt == (Message(role="user", content="Hi"),)


@pytest.mark.slow(threads=1)
@given(prompts, prompts)
def test_two_prompts_have_one_key_exactly_when_they_say_the_same(first, second):
    def said(prompt):
        return [message.model_copy(update={"weight": 1.0}) for message in prompt]

    assert (prompt_key(first) == prompt_key(second)) == (said(first) == said(second))


def test_the_prompt_key_is_the_documented_canonical_json():
    assert prompt_key([Message(role="user", content="é")]) == '[{"content":"\\u00e9","role":"user"}]'


def test_a_message_is_written_without_what_it_does_not_have():
    assert Message(role="user", content="hi").model_dump() == {"role": "user", "content": "hi"}
    call = [{"type": "function", "function": {"name": "add", "arguments": {"b": 1, "a": 2}}}]
    message = Message(role="assistant", content="", tool_calls=call, weight=0)
    assert message.model_dump() == {"role": "assistant", "content": "", "tool_calls": call, "weight": 0}
    assert Message(role="assistant", content="", tool_calls=json.dumps(call), weight=0) == message, "as a column has it"


@pytest.mark.parametrize("tools", ["not JSON", [], ["add"], {"name": "add"}, 3, "[" * 100_000])
def test_tools_that_are_no_list_of_objects_are_refused(tools):
    with pytest.raises(ValidationError, match="must be a list of JSON objects"):
        Message(role="user", content="", tools=tools)


def test_prompts_with_other_tools_are_other_prompts_and_weights_make_no_difference():
    bare = Message(role="user", content="hi")
    assert prompt_key([bare]) == prompt_key([bare.model_copy(update={"weight": 0.5})])
    assert prompt_key([bare]) != prompt_key([Message(role="user", content="hi", tools=[{"name": "add"}])])


def test_a_response_is_the_same_whatever_white_space_stands_around_it_and_however_it_is_spelt():
    assert response_key(" yes\n") == response_key(as_message("yes")) == "yes"
    thought = Message(role="assistant", content="yes", reasoning="why not")
    assert response_key(thought) != response_key("yes")
    assert response_key(thought) == response_key(thought.model_copy(update={"content": " yes "}))


def test_people_and_judges_are_shown_what_a_message_calls_may_call_and_thinks():
    call = [{"function": {"name": "add", "arguments": {"a": 1}}}]
    message = Message(role="assistant", content="wait", reasoning="hm", tool_calls=call, tools=call)
    assert shown(message) == 'hm\n\nwait\n\n→ add({"a": 1})\n\ntools: add'
    assert shown(Message(role="user", content=" plain ")) == " plain "
    assert shown(Message(role="assistant", content="", tool_calls=call)) == '→ add({"a": 1})'

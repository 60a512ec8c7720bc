"""Records are frozen, survive a trip through JSON, and answers become pairs by one rule."""

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
    pairs_from_comparisons,
    prompt_key,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
finite = st.floats(-100, 100)
messages = st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts)
prompts = st.lists(messages, max_size=3).map(tuple)
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
    chosen=texts,
    rejected=texts,
    weight=st.floats(0, 10),
    probability=st.floats(0, 1),
    margin=finite,
    origin=st.none() | st.builds(Origin, file=texts, line=st.integers(1, 1000)),
)


def test_every_exported_name_exists():
    assert sorted(data.__all__) == list(data.__all__)
    assert all(hasattr(data, name) for name in data.__all__)


@given(comparisons)
def test_a_comparison_survives_a_trip_through_json(comparison):
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison


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


@given(prompts, prompts)
def test_two_prompts_have_one_key_exactly_when_they_are_equal(first, second):
    assert (prompt_key(first) == prompt_key(second)) == (first == second)


def test_the_prompt_key_is_the_documented_canonical_json():
    assert prompt_key([Message(role="user", content="é")]) == '[{"content":"\\u00e9","role":"user"}]'

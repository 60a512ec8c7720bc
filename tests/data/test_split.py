"""A split never shares a prompt, and a prompt's side depends on the prompt and the seed alone."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import (
    Demonstration,
    Document,
    Message,
    PreferencePair,
    prompt_key,
    split_by_prompt,
)
from penchant.data.split import split_demonstrations
from penchant.errors import ConfigError


def pair(question, chosen="c"):
    return PreferencePair(prompt=(Message(role="user", content=question),), chosen=chosen, rejected="r")


def prompts_of(pairs):
    return {prompt_key(pair.prompt) for pair in pairs}


some_pairs = st.lists(st.builds(pair, st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=1, max_size=20)
many = [pair(f"question {i // 3}", f"c{i}") for i in range(300)]


@pytest.mark.slow(threads=1)
@given(some_pairs, st.floats(0, 0.99), st.integers(0, 5))
def test_every_pair_lands_on_one_side_and_no_prompt_on_both(pairs, fraction, seed):
    train, held_out = split_by_prompt(pairs, fraction, seed)
    assert sorted(map(str, train + held_out)) == sorted(map(str, pairs))
    assert not prompts_of(train) & prompts_of(held_out)


@pytest.mark.slow(threads=1)
@given(some_pairs, st.floats(1e-9, 0.999), st.integers(0, 5))
def test_neither_side_is_empty_once_there_are_two_prompts(pairs, fraction, seed):
    train, held_out = split_by_prompt(pairs, fraction, seed)
    assert train
    assert bool(held_out) == (len(prompts_of(pairs)) > 1)


@pytest.mark.slow(threads=1)
@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_reordering_and_appending_move_no_prompt(random):
    shuffled = [*many, pair("one more"), pair("and another")]
    random.shuffle(shuffled)
    before = prompts_of(split_by_prompt(many, 0.2, 3)[1])
    after = prompts_of(split_by_prompt(shuffled, 0.2, 3)[1])
    assert after - {prompt_key(pair(q).prompt) for q in ("one more", "and another")} == before


def test_a_larger_fraction_only_adds_to_the_held_out_side():
    small, large = (prompts_of(split_by_prompt(many, f, 0)[1]) for f in (0.1, 0.3))
    assert small < large


def test_the_share_held_out_is_near_the_fraction_and_the_seed_matters():
    held_out = [prompts_of(split_by_prompt(many, 0.2, seed)[1]) for seed in (0, 1)]
    assert all(8 <= len(keys) <= 32 for keys in held_out)
    assert held_out[0] != held_out[1]


def test_the_rule_is_the_documented_hash():
    key = prompt_key(many[0].prompt)
    place = int(hashlib.sha256(f"7\n{key}".encode()).hexdigest()[:16], 16) / 2**64
    assert many[0] in split_by_prompt(many, place + 1e-9, 7)[1]
    assert many[0] in split_by_prompt(many, place - 1e-9, 7)[0]


def test_nothing_is_held_out_at_fraction_zero_or_of_a_single_prompt():
    assert split_by_prompt(many, 0.0, 0) == (tuple(many), ())
    assert split_by_prompt(many[:3], 0.5, 0) == (tuple(many[:3]), ())


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(ConfigError, match="held-out fraction"):
        split_by_prompt(many, fraction, 0)


SHORT = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def conversation(*turns):
    """From turns such as "u:a question"."""
    parts = (turn.split(":", 1) for turn in turns)
    return Demonstration(messages=tuple(Message(role=SHORT[role], content=content) for role, content in parts))


def sides_of(record, seeds=range(30)):
    """On which side of other prompts it lies, seed by seed."""
    others = [conversation(f"u:other {i}", "a:x") for i in range(20)]
    return [record in split_demonstrations([*others, record], 0.5, seed)[1] for seed in seeds]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("u:q", "a:1"), ("u:q", "a:2"), True),
        (("u:q", "a:1"), ("u:q", "a:2", "u:and?", "a:3"), True),
        (("u:q", "a:call", "t:result", "a:1"), ("u:q", "a:2"), True),
        (("s:be kind", "u:q", "a:1"), ("u:q", "a:1"), False),
        (("u:q", "a:1"), ("u:p", "a:1"), False),
        (("a:hello", "u:q", "a:1"), ("a:hello", "u:q", "a:2"), True),
        (("a:hello", "u:q", "a:1"), ("a:hello", "u:p", "a:1"), False),
        (("s:tell", "a:1"), ("s:tell", "a:2"), True),
        (("a:1",), ("a:1",), True),
        (("a:1",), ("a:2",), False),
    ],
)
def test_conversations_lie_together_where_the_first_answer_to_a_user_has_one_prompt(one, other, same):
    assert (sides_of(conversation(*one)) == sides_of(conversation(*other))) is same


def test_a_conversation_lies_where_a_pair_of_its_prompt_lies():
    asked = [conversation(f"u:{one.prompt[0].content}", "a:x") for one in many]
    pairs, texts = split_by_prompt(many, 0.2, 3)[1], split_demonstrations(asked, 0.2, 3)[1]
    assert [one.prompt for one in pairs] == [one.messages[:1] for one in texts]


def test_documents_are_split_by_their_text_and_appended_ones_move_none():
    texts = [Document(text=f"story {i % 50}") for i in range(100)]
    train, held_out = ({one.text for one in side} for side in split_demonstrations(texts, 0.2, 3))
    assert held_out
    assert not train & held_out
    more = [Document(text=f"new {i}") for i in range(30)]
    after = {one.text for one in split_demonstrations([*more, *texts], 0.2, 3)[1]}
    assert {text for text in after if text.startswith("story")} == held_out


def test_of_two_texts_one_is_held_out_and_of_one_none():
    one, other = Document(text="a"), conversation("u:q", "a:1")
    assert [len(side) for side in split_demonstrations([one, other, one], 0.001, 0)] in ([2, 1], [1, 2])
    assert split_demonstrations([one, one], 0.5, 0) == ((one, one), ())

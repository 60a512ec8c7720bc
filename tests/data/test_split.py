"""A split never shares a prompt, and a prompt's side depends on the prompt and the seed alone."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import Message, PreferencePair, group_by_prompt, prompt_key, split_by_prompt
from penchant.errors import ConfigError


def pair(question, chosen="c"):
    return PreferencePair(prompt=(Message(role="user", content=question),), chosen=chosen, rejected="r")


some_pairs = st.lists(st.builds(pair, st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=1, max_size=20)
many = [pair(f"question {i // 3}", f"c{i}") for i in range(300)]


@given(some_pairs, st.floats(0, 0.99), st.integers(0, 5))
def test_every_pair_lands_on_one_side_and_no_prompt_on_both(pairs, fraction, seed):
    train, held_out = split_by_prompt(pairs, fraction, seed)
    assert sorted(map(str, train + held_out)) == sorted(map(str, pairs))
    assert not group_by_prompt(train).keys() & group_by_prompt(held_out).keys()


@given(some_pairs, st.floats(1e-9, 0.999), st.integers(0, 5))
def test_neither_side_is_empty_once_there_are_two_prompts(pairs, fraction, seed):
    train, held_out = split_by_prompt(pairs, fraction, seed)
    assert train
    assert bool(held_out) == (len(group_by_prompt(pairs)) > 1)


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_reordering_and_appending_move_no_prompt(random):
    shuffled = [*many, pair("one more"), pair("and another")]
    random.shuffle(shuffled)
    before = group_by_prompt(split_by_prompt(many, 0.2, 3)[1]).keys()
    after = group_by_prompt(split_by_prompt(shuffled, 0.2, 3)[1]).keys()
    assert after - {prompt_key(pair(q).prompt) for q in ("one more", "and another")} == before


def test_a_larger_fraction_only_adds_to_the_held_out_side():
    small, large = (set(group_by_prompt(split_by_prompt(many, f, 0)[1])) for f in (0.1, 0.3))
    assert small < large


def test_the_share_held_out_is_near_the_fraction_and_the_seed_matters():
    held_out = [set(group_by_prompt(split_by_prompt(many, 0.2, seed)[1])) for seed in (0, 1)]
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


def test_groups_keep_the_order_of_the_rows():
    groups = group_by_prompt([pair("a", "1"), pair("b", "2"), pair("a", "3")])
    assert [[p.chosen for p in group] for group in groups.values()] == [["1", "3"], ["2"]]

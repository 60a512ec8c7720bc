"""Sequences of a store come in the order in which their lists of ids would be sorted, without being held."""

import numpy as np
import pytest

from penchant.data import Origin
from penchant.tokens import EncodedPair, TokenSequence, order
from penchant.tokens.order import groups_in_order, in_token_order, order_key
from penchant.tokens.packing import pack, pack_ordered
from penchant.tokens.store import Responses, SomePairs, StoreWriter

BIG = 2**32 - 2
"""The largest id that a store takes."""


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch):
    monkeypatch.setattr(order, "MOST", 3)


def random_pairs(seed, vocabulary, num=60):
    """Pairs of short prompts, of which many are prefixes of others, and many of which come again."""
    random = np.random.default_rng(seed)

    def ids(low, high):
        return random.choice(vocabulary, random.integers(low, high)).tolist()

    prompts = [ids(1, 6) for _ in range(12)]
    made = []
    for i in range(num):
        prompt = prompts[random.integers(len(prompts))]
        chosen, rejected = (TokenSequence.of(prompt, ids(1, 4)) for _ in range(2))
        made.append(EncodedPair(chosen, rejected, 1.0, 1.0, 0.0, Origin(file="f", line=i + 1)))
    return made


def stored(pairs):
    writer = StoreWriter(None)
    for record, pair in enumerate(pairs):
        writer.place(0.5)
        writer.add(pair, record)
    return writer.finish({})


@pytest.fixture(params=[(0, [0, 1]), (1, [0, 5, BIG]), (2, range(1000)), (3, [7])], ids=str)
def pairs(request):
    return random_pairs(*request.param)


def test_pairs_of_a_store_are_ordered_as_a_list_of_them_is(pairs):
    rows = np.random.default_rng(0).permutation(len(pairs))[:50]
    some = SomePairs(stored(pairs), rows)
    expected = sorted(range(50), key=lambda i: pairs[rows[i]].chosen.ids.tolist())
    assert list(in_token_order(some, key=None)) == expected
    packed = pack([pairs[row].sequences for row in rows], 12)
    assert list(pack_ordered(((i, some[i].sequences) for i in expected), 12)) == packed


def test_responses_of_a_store_are_ordered_by_tokens_and_then_by_keys(pairs):
    store = stored(pairs)
    sides = SomePairs(store, np.arange(0, 60, 2)), SomePairs(store, np.arange(1, 60, 2))
    responses = Responses(*sides)
    held = [sequence for side in sides for pair in side for sequence in pair.sequences]
    assert [one.key for one in responses] == [one.key for one in held]
    assert [one.ids.tolist() for one in responses[:9]] == [one.ids.tolist() for one in held[:9]]
    expected = sorted(range(len(held)), key=lambda i: (held[i].ids.tolist(), held[i].key, i))
    assert list(responses.in_token_order()) == expected
    assert list(in_token_order(held, lambda one: (order_key(one.ids), one.key))) == expected


def test_weighted_responses_have_keys_of_their_own():
    store = stored(random_pairs(0, range(9)))
    plain = SomePairs(store, np.arange(60))
    weighed = plain.changed(lambda pair: pair.weigh_tokens(lambda own, other: np.full(own, 0.5, dtype=np.float32)))
    assert [one.key for one in Responses(weighed)] == [one.key for pair in weighed for one in pair.sequences]
    assert not {one.key for one in Responses(weighed)} & {one.key for one in Responses(plain)}


def test_groups_are_small_or_of_equal_sequences():
    sequences = [[1] * (i % 5) for i in range(100)] + [[2, 2, 2, i] for i in range(40)]

    def tokens_at(which, depth):
        padded = [[*(token + 1 for token in sequences[i][depth : depth + 2]), 0, 0][:2] for i in which]
        return np.array([(first << 32) | second for first, second in padded], dtype=np.uint64)

    groups = [group.tolist() for group in groups_in_order(np.arange(140), tokens_at)]
    assert sorted(i for group in groups for i in group) == list(range(140))
    assert all(len(group) <= 3 or len({tuple(sequences[i]) for i in group}) == 1 for group in groups)
    flat = [sequences[i] for group in groups for i in sorted(group, key=lambda i: sequences[i])]
    assert flat == sorted(sequences)

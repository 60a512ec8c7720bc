"""Micro-batches hold every item once and no more unique tokens than the budget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.tokens import Forest, TokenSequence, pack
from penchant.tokens.forest import shared_prefix_length

items = st.lists(
    st.lists(
        st.lists(st.integers(0, 3), min_size=2, max_size=20).map(lambda ids: TokenSequence.of(ids[:1], ids[1:])),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow(threads=1)
@settings(max_examples=150, deadline=None)
@given(items, st.integers(1, 60), st.booleans())
def test_every_index_appears_once_and_the_budget_holds(items, budget, share):
    batches = pack(items, budget, share=share)
    assert sorted(i for batch in batches for i in batch) == list(range(len(items)))
    for batch in batches:
        sequences = [sequence for i in batch for sequence in items[i]]
        assert batch
        trunk = min(shared_prefix_length(sequences[0].ids, s.ids) for s in sequences) if share else 0
        num_tokens = Forest.plant(sequences, share=share, min_shared=1).num_tokens
        assert len(batch) == 1 or num_tokens <= max(budget, 4 * trunk)


def test_pairs_of_one_prompt_go_together_and_their_prompt_counts_once():
    prompts = [list(range(100 * p, 100 * p + 50)) for p in range(2)]
    items = [[TokenSequence.of(prompts[i % 2], [i, 7]), TokenSequence.of(prompts[i % 2], [i, 8])] for i in range(6)]
    assert sorted(map(sorted, pack(items, 64))) == [[0, 2, 4], [1, 3, 5]]
    assert len(pack(items, 64, share=False)) == 6


def test_without_sharing_the_order_stays_and_every_token_counts():
    items = [[TokenSequence.of([9], [1, 2, 3])] for _ in range(5)]
    assert pack(items, 8, share=False) == [[0, 1], [2, 3], [4]]


def test_an_item_over_the_budget_is_a_micro_batch_of_its_own():
    items = [[TokenSequence.of([1], [2] * n)] for n in (3, 50, 4)]
    assert [1] in pack(items, 10)


def test_a_long_prefix_that_all_items_share_is_not_run_again_for_every_few_of_them():
    system = list(range(100))
    items = [[TokenSequence.of(system, [i, *[200 + i] * 39])] for i in range(10)]
    batches = pack(items, 160)
    assert list(map(len, batches)) == [7, 3], "four times the prefix holds it and seven answers"
    assert len(pack(items, 160, share=False)) == 10

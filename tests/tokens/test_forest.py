"""A forest holds every sequence as a path, shares exactly what is common, and lets a token see its own path alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.tokens import Forest, TokenSequence


def sequence(ids, num_prompt=1):
    return TokenSequence.of(ids[:num_prompt], ids[num_prompt:])


def path_of(forest, one, predictors):
    """Packed index of every token of a sequence: the lineage that spells it and holds the states that predict it."""
    for index in range(len(forest.segments)):
        lineage = [forest.segments[ancestor] for ancestor in forest.lineage(index)]
        path = [i for segment in lineage for i in range(segment.start, segment.stop)]
        if forest.input_ids_T[path].tolist() == one.ids.tolist() and set(predictors) <= set(path):
            return path
    raise AssertionError("no path spells the sequence")


def visible(forest):
    """What the docstring of the module says of the tour: i sees j iff j <= i and enter[j] <= enter[i] < exit[j]."""
    (enter, leave), index = forest.enter_exit(), np.arange(forest.num_tokens)
    i, j = index[:, None], index[None, :]
    return (j <= i) & (enter[j] <= enter[i]) & (enter[i] < leave[j])


def check_against_brute_force(sequences, **options):
    """Everything a forest promises, from the definition, in loops."""
    forest = Forest.plant(sequences, **options)
    predictors = [forest.hidden_index_K[forest.response_of_K == r] for r in range(len(sequences))]
    paths = [path_of(forest, one, mine) for one, mine in zip(sequences, predictors, strict=True)]
    for r, (one, path) in enumerate(zip(sequences, paths, strict=True)):
        assert forest.position_ids_T[path].tolist() == list(range(len(one))), "positions count along the path"
        mine = forest.response_of_K == r
        (scored,) = np.nonzero(one.scored)
        assert forest.target_ids_K[mine].tolist() == one.ids[scored].tolist()
        assert forest.hidden_index_K[mine].tolist() == [path[i - 1] for i in scored]
    expected = np.zeros((forest.num_tokens, forest.num_tokens), dtype=bool)
    for path in paths:
        for place, i in enumerate(path):
            expected[i, path[: place + 1]] = True
    np.testing.assert_array_equal(visible(forest), expected)
    for index, segment in enumerate(forest.segments):
        seen = {j for start, stop in forest.spans(index) for j in range(start, stop)}
        assert seen == set(np.flatnonzero(expected[segment.stop - 1])), "spans are what the last token sees"
    assert sorted({i for path in paths for i in path}) == list(range(forest.num_tokens)), (
        "no token is there for nothing"
    )
    assert all(segment.stop > segment.start for segment in forest.segments), "no segment is there for nothing"
    return forest


families = st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=14), min_size=1, max_size=7)


@pytest.mark.slow(threads=1)
@settings(max_examples=150, deadline=None)
@given(families, st.integers(1, 5))
def test_any_family_is_planted_as_the_definition_says(ids, min_shared):
    check_against_brute_force([sequence(one) for one in ids], min_shared=min_shared)


@settings(max_examples=50, deadline=None)
@given(families)
def test_any_family_laid_side_by_side_shares_nothing(ids):
    forest = check_against_brute_force([sequence(one) for one in ids], share=False)
    assert forest.num_tokens == sum(map(len, ids))
    assert all(segment.parent == -1 for segment in forest.segments)


@settings(max_examples=100, deadline=None)
@given(families)
def test_with_every_split_allowed_a_forest_holds_each_distinct_prefix_once(ids):
    forest = Forest.plant([sequence(one) for one in ids], min_shared=1)
    prefixes = {tuple(one[:n]) for one in ids for n in range(1, len(one) + 1)}
    assert forest.num_tokens == len(prefixes)


def test_a_pair_is_one_trunk_with_two_branches():
    prompt, chosen, rejected = list(range(10)), [20, 21, 22], [30, 31]
    forest = check_against_brute_force([TokenSequence.of(prompt, chosen), TokenSequence.of(prompt, rejected)])
    assert forest.input_ids_T.tolist() == [*prompt, *chosen, *rejected]
    assert forest.position_ids_T.tolist() == [*range(10), 10, 11, 12, 10, 11]
    assert [(s.start, s.stop, s.parent) for s in forest.segments] == [(0, 10, -1), (10, 13, 0), (13, 15, 0)]
    assert forest.hidden_index_K.tolist() == [9, 10, 11, 9, 13], "the prompt's last state predicts both first tokens"
    assert forest.num_responses == 2


def test_a_system_prompt_is_shared_above_the_prompts():
    system, one, two = list(range(100, 120)), list(range(30)), list(range(50, 80))
    pairs = [(system + one, [1, 2]), (system + one, [3]), (system + two, [1, 2]), (system + two, [4])]
    forest = check_against_brute_force([TokenSequence.of(p, c) for p, c in pairs])
    assert forest.num_tokens == 20 + 30 + 30 + 2 + 1 + 2 + 1
    assert forest.lineage(len(forest.segments) - 1)[0] == 0


def test_a_split_shorter_than_min_shared_is_not_made():
    first, second = [1, 2, 3, 4, 5, 6, 7, 10], [1, 2, 3, 4, 5, 6, 7, 20]
    assert Forest.plant([sequence(first), sequence(second)], min_shared=8).num_tokens == 16
    assert Forest.plant([sequence(first), sequence(second)], min_shared=7).num_tokens == 9


def test_min_shared_counts_from_the_last_split():
    trunk = list(range(10))
    near = [[*trunk, 50, 51, 1], [*trunk, 50, 51, 2], [*trunk, 60]]
    forest = check_against_brute_force([sequence(one) for one in near], min_shared=4)
    assert forest.num_tokens == 10 + 3 + 3 + 1, "two more common tokens are not worth another split"


def test_identical_sequences_are_one_path_scored_twice():
    ids = [5, 6, 7]
    forest = check_against_brute_force([sequence(ids), sequence(ids)], min_shared=8)
    assert forest.num_tokens == 3
    assert forest.hidden_index_K.tolist() == [0, 1, 0, 1]
    assert forest.response_of_K.tolist() == [0, 0, 1, 1]


def test_a_sequence_that_is_a_prefix_of_another_ends_inside_its_path():
    short = list(range(12))
    forest = check_against_brute_force([sequence([*short, 40, 41]), sequence(short)])
    assert forest.num_tokens == 14


def test_a_single_token_is_a_forest_that_scores_nothing():
    forest = Forest.plant([TokenSequence.of([3], [])])
    assert forest.input_ids_T.tolist() == [3]
    assert len(forest.target_ids_K) == 0
    assert visible(forest).tolist() == [[True]]


def test_only_the_scored_turns_of_a_conversation_are_targets():
    ids = np.arange(8)
    scored = np.array([False, False, True, True, False, False, True, False])
    forest = Forest.plant([TokenSequence(ids, scored)])
    assert forest.target_ids_K.tolist() == [2, 3, 6]
    assert forest.hidden_index_K.tolist() == [1, 2, 5]


def test_the_order_of_sequences_changes_no_number_of_tokens():
    random = np.random.default_rng(0)
    family = [sequence([*range(9), *random.integers(0, 3, 6).tolist()]) for _ in range(8)]
    sizes = {Forest.plant([family[i] for i in random.permutation(8)]).num_tokens for _ in range(5)}
    assert len(sizes) == 1


def test_a_sequence_whose_first_token_is_scored_cannot_be_made():
    with pytest.raises(AssertionError, match="no token predicts the first one"):
        TokenSequence.of([], [1, 2])


def test_a_sequence_that_is_cut_keeps_the_weights_of_what_is_left():
    ids, weights = np.arange(7), np.array([0.5, 0.25, 2.0], dtype=np.float32)
    scored = np.array([False, True, True, False, False, True, False])
    whole = TokenSequence(ids, scored, weights)
    cut = whole.cut(4)
    assert (cut.ids.tolist(), cut.scored.tolist()) == ([0, 1, 2, 3], [False, True, True, False])
    assert cut.weights.tolist() == [0.5, 0.25]
    assert TokenSequence(ids, scored).cut(4).weights is None


def test_the_weights_of_scored_tokens_stand_in_the_order_of_the_targets_and_are_one_where_nothing_is_said():
    plain, one = sequence([1, 2, 3, 4]), sequence([1, 2, 9])
    weighted = one.weighted(np.array([0.5, 3.0], dtype=np.float32))
    assert weighted.total_weight == 3.5
    assert plain.total_weight == 3
    forest = Forest.plant([plain, weighted, plain])
    assert forest.weight_K.tolist() == [1, 1, 1, 0.5, 3.0, 1, 1, 1]
    assert forest.weight_K.dtype == np.float32
    assert Forest.plant([plain, one]).weight_K is None


def test_a_sequence_without_a_token_cannot_be_made():
    with pytest.raises(AssertionError, match="at least one token"):
        sequence([])

"""Token sequences: a path is a product of conditionals, and all paths together are certain."""

from itertools import product

import pytest
import torch

from penchant.lab import TokenTree


@pytest.mark.parametrize(("num_tokens", "depth"), [(2, 1), (2, 4), (3, 3), (4, 2)])
def test_the_sequences_are_those_that_end_or_are_cut_and_no_others(num_tokens, depth):
    everything = {
        sequence
        for length in range(1, depth + 1)
        for sequence in product(range(num_tokens), repeat=length)
        if 0 not in sequence[:-1] and (sequence[-1] == 0 or length == depth)
    }
    tree = TokenTree(num_tokens, depth)
    assert set(tree.sequences) == everything
    assert len(tree.sequences) == len(everything)
    assert tree.length_Y.tolist() == [len(sequence) for sequence in tree.sequences]


def test_a_sequence_has_the_product_of_the_probabilities_of_its_tokens_after_their_prefixes():
    tree = TokenTree(num_tokens=3, depth=3)
    logits_XNV = torch.randn(2, len(tree.prefixes), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    next_token = torch.softmax(logits_XNV, 2)
    policy_XY = tree.log_probs(logits_XNV).exp()
    for x in range(2):
        for y, sequence in enumerate(tree.sequences):
            probability = 1.0
            for t in range(len(sequence)):
                probability *= next_token[x, tree.prefixes.index(sequence[:t]), sequence[t]].item()
            assert policy_XY[x, y].item() == pytest.approx(probability, abs=1e-15)
    assert policy_XY.sum(1).tolist() == pytest.approx([1.0, 1.0], abs=1e-14)


def test_any_distribution_over_sequences_can_be_written_token_by_token():
    tree = TokenTree(num_tokens=3, depth=2)
    policy_XY = torch.softmax(torch.randn(1, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), 1)
    conditionals_XNV = tree.conditionals(policy_XY)
    assert torch.allclose(conditionals_XNV.sum(2), torch.ones(1, 3, dtype=torch.float64))
    assert torch.allclose(tree.log_probs(conditionals_XNV.log()).exp(), policy_XY, atol=1e-14, rtol=0)


def test_the_world_of_a_tree_has_its_lengths_and_reference():
    tree = TokenTree(num_tokens=2, depth=2)
    world = tree.world(torch.zeros(3, 2, 2), torch.zeros(3, 3))
    assert world.reference_XY[2].tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert world.length_XY[2].tolist() == [1, 2, 2]


@pytest.mark.parametrize(("num_tokens", "depth"), [(1, 2), (2, 0)])
def test_a_tree_without_a_choice_is_refused(num_tokens, depth):
    with pytest.raises(ValueError, match="a tree needs"):
        TokenTree(num_tokens, depth)

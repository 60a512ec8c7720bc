"""Tree attention is dense attention under the forest's rule: values, gradients, and what it refuses."""

import numpy as np
import pytest
import torch

from penchant.models import attention
from penchant.models.attention import CannotShare, TreeLayout
from penchant.tokens import Forest, TokenSequence

CPU = torch.device("cpu")


def forest_of(*ids, min_shared=2):
    return Forest.plant([TokenSequence.of(one[:1], one[1:]) for one in ids], min_shared=min_shared)


TREE = forest_of([1, 2, 3, 4, 5], [1, 2, 3, 4, 6, 7, 8], [1, 2, 9], [5, 5, 5], [1, 2, 3, 4, 6, 7, 1])


def random_qkv(forest, heads, groups, width=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, heads, forest.num_tokens, width)] + 2 * [(1, groups, forest.num_tokens, width)]
    return [torch.randn(shape, generator=generator, dtype=dtype, requires_grad=True) for shape in shapes]


def dense(seen, query, key, value, scale):
    """The definition: softmax over what is seen, every query head with the keys of its group."""
    repeat = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    scores = (query @ key.transpose(-1, -2) * scale).masked_fill(~torch.from_numpy(seen), float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2)


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (6, 1)], ids=["MHA", "GQA", "MQA"])
@pytest.mark.parametrize("block", [1, 3, 128])
def test_tree_attention_is_dense_attention_under_the_forests_rule(monkeypatch, visible, heads, groups, block):
    monkeypatch.setattr(attention, "QUERY_BLOCK", block)
    random = np.random.default_rng(3)
    trunk = random.integers(0, 9, 20).tolist()
    forest = forest_of(*[[*trunk[: random.integers(1, 21)], *random.integers(0, 9, 9).tolist()] for _ in range(7)])
    inputs = random_qkv(forest, heads, groups)
    ours = TreeLayout(forest, CPU).attend(0, *inputs, 0.3)
    oracle = dense(visible(forest), *inputs, 0.3)
    torch.testing.assert_close(ours, oracle, rtol=1e-10, atol=1e-10)
    weights = torch.randn(ours.shape, dtype=torch.float64)
    for mine, theirs in zip(
        torch.autograd.grad((ours * weights).sum(), inputs),
        torch.autograd.grad((oracle * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("heads", "groups"), [(2, 2), (4, 2)], ids=["MHA", "GQA"])
def test_its_gradient_agrees_with_finite_differences(monkeypatch, heads, groups):
    monkeypatch.setattr(attention, "QUERY_BLOCK", 2)
    layout = TreeLayout(TREE, CPU)
    inputs = random_qkv(TREE, heads, groups, width=3)
    assert torch.autograd.gradcheck(lambda q, k, v: layout.attend(0, q, k, v, 0.5), inputs)


class Layer(torch.nn.Module):
    layer_idx = 0


def test_a_window_shorter_than_the_longest_path_is_refused_and_a_longer_one_is_not():
    layout, inputs = TreeLayout(TREE, CPU), random_qkv(TREE, 2, 2)
    assert layout.longest == 7
    attention.attend(Layer(), *inputs, layout=layout, sliding_window=7)
    with pytest.raises(CannotShare, match="sliding window of 6"):
        attention.attend(Layer(), *inputs, layout=layout, sliding_window=6)


@pytest.mark.parametrize("feature", ["softcap", "s_aux", "position_bias"])
def test_a_feature_it_does_not_compute_is_refused_by_name(feature):
    with pytest.raises(CannotShare, match=feature):
        attention.attend(Layer(), *random_qkv(TREE, 2, 2), layout=TreeLayout(TREE, CPU), **{feature: 1.0})


def test_dropout_is_refused():
    with pytest.raises(CannotShare, match="dropout"):
        attention.attend(Layer(), *random_qkv(TREE, 2, 2), layout=TreeLayout(TREE, CPU), dropout=0.1)


def test_a_network_used_directly_is_refused_rather_than_answered_without_its_mask(llama):
    ids = torch.tensor([[1, 1, 5, 6]])
    with pytest.raises(CannotShare, match="do not pass the arguments of their call on"):
        llama.network(ids, attention_mask=torch.tensor([[0, 0, 1, 1]]))
    llama.stop_sharing("used directly")
    assert llama.network(ids).logits.shape == (1, 4, 288)


def test_the_scale_defaults_to_that_of_the_head_width(visible):
    inputs = random_qkv(TREE, 2, 2)
    out, _ = attention.attend(Layer(), *inputs, layout=TreeLayout(TREE, CPU))
    torch.testing.assert_close(out, dense(visible(TREE), *inputs, 0.5))


def test_a_mask_that_the_layer_made_itself_is_refused_rather_than_passed_over(llama, family):
    forest = Forest.plant(family)
    layout = attention.TreeLayout(forest, torch.device("cpu"))
    query = torch.zeros(1, 4, forest.num_tokens, 8)
    mask = torch.zeros(forest.num_tokens, forest.num_tokens)
    with pytest.raises(attention.CannotShare, match="a mask of its own"):
        attention.attend(llama.body.layers[0].self_attn, query, query, query, mask, layout=layout)

"""A tree of completions: what is shown and what is left out make 1, and a path is a product."""

import math
from itertools import product

import pytest
import torch

from penchant.lab import grow, layout, path_log_prob, readable

V = 5


def next_logits(path):
    """A made-up model: the logits hang on every token before."""
    seed = sum((token + 1) * 7**t for t, token in enumerate(path))
    return 2 * torch.randn(V, generator=torch.Generator().manual_seed(seed))


def by_hand(path, temperature=1.0):
    """The probability of a path as a product of plain softmaxes."""
    probability = 1.0
    for t, token in enumerate(path):
        weights = [math.exp(z / temperature) for z in next_logits(path[:t]).tolist()]
        probability *= weights[token] / sum(weights)
    return probability


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_every_node_has_the_product_of_its_path(temperature):
    root = grow(next_logits, depth=3, width=2, temperature=temperature)
    nodes = list(root)
    assert len(nodes) == 1 + 2 + 4 + 8
    for node in nodes:
        assert math.exp(node.path_log_prob) == pytest.approx(by_hand(node.path, temperature), rel=1e-6)
        assert path_log_prob(next_logits, node.path, temperature) == pytest.approx(node.path_log_prob, abs=1e-12)


def test_the_children_are_the_likeliest_ways_on_and_the_rest_is_what_the_others_add_up_to():
    for node in grow(next_logits, depth=2, width=3):
        if node.children:
            every = {token: by_hand((*node.path, token)) / by_hand(node.path) for token in range(V)}
            likeliest = sorted(every, key=lambda token: -every[token])
            assert [child.path[-1] for child in node.children] == likeliest[:3]
            assert node.rest == pytest.approx(sum(every[token] for token in likeliest[3:]), rel=1e-6)
            shown = sum(math.exp(child.log_prob) for child in node.children)
            assert shown + node.rest == pytest.approx(1, abs=1e-12)


def test_a_tree_as_wide_as_the_vocabulary_lists_every_sequence_and_leaves_nothing_out():
    root = grow(next_logits, depth=2, width=V + 3)
    leaves = [node for node in root if not node.children]
    assert {leaf.path for leaf in leaves} == set(product(range(V), repeat=2))
    assert sum(math.exp(leaf.path_log_prob) for leaf in leaves) == pytest.approx(1, abs=1e-12)
    assert all(node.rest == 0 for node in root)


def test_nothing_comes_behind_an_end_token_or_a_path_too_unlikely():
    root = grow(next_logits, depth=4, width=V, end_ids=(0,))
    assert all(0 not in node.path[:-1] for node in root)
    assert any(node.path and node.path[-1] == 0 and len(node.path) < 4 for node in root)
    for node in grow(next_logits, depth=4, width=V, least=0.1):
        assert bool(node.children) == (len(node.path) < 4 and by_hand(node.path) >= 0.1)


@pytest.mark.parametrize("options", [{"depth": 0}, {"width": 0}, {"temperature": 0.0}, {"temperature": math.nan}])
def test_a_tree_of_nothing_is_refused(options):
    with pytest.raises(ValueError, match="a tree needs"):
        grow(next_logits, **{"depth": 1, "width": 1} | options)


def test_leaves_and_rests_have_rows_of_their_own_and_parents_stand_among_their_children():
    root = grow(next_logits, depth=2, width=2)
    drawn = layout(root, lambda path: f"<{path[-1]}>")
    nodes, edges = drawn["nodes"], drawn["edges"]
    rows = [node["row"] for node in nodes if node["kind"] != "inner"]
    assert sorted(rows) == list(range(4 + 3))
    assert sum(node["probability"] for node in nodes if node["kind"] != "inner") == pytest.approx(1, abs=1e-9)
    for node in nodes:
        if node["kind"] == "inner":
            below = [nodes[edge["end"]] for edge in edges if nodes[edge["start"]] is node]
            assert min(n["row"] for n in below) <= node["row"] <= max(n["row"] for n in below)
            assert {n["column"] for n in below} == {node["column"] + 1}
    for edge in edges:
        parent, child = nodes[edge["start"]], nodes[edge["end"]]
        assert child["probability"] == pytest.approx(parent["probability"] * edge["probability"], rel=1e-9)
    assert [edge["text"] for edge in edges].count("the rest") == 3
    assert f"<{root.children[0].path[0]}>" in [edge["text"] for edge in edges]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a b", "a\u2423b"), ("\n\t", "\\n\\t"), ("\x1b", "\\x1b"), ("\u661f", "\u661f"), ("", "\u2205")],
)
def test_what_cannot_be_seen_is_made_visible(text, shown):
    assert readable(text) == shown

"""A few answers: how often they look certain, and when they settle a policy."""

from itertools import combinations, product

import pytest
import torch

from penchant.lab import World, ask, empirical_world, has_finite_optimum


def splits_into_winners_and_losers(wins):
    """By definition: some group of responses never lost to the rest."""
    everyone = range(len(wins))
    return any(
        all(wins[j][i] == 0 for i in group for j in everyone if j not in group)
        for size in range(1, len(wins))
        for group in combinations(everyone, size)
    )


def test_there_is_an_optimum_unless_some_group_never_lost_to_the_rest():
    for a, b, c in product(range(3), repeat=3):  # of two answers a pair
        wins = [[0, a, b], [2 - a, 0, c], [2 - b, 2 - c, 0]]
        found = has_finite_optimum(torch.tensor([wins], dtype=torch.float64)).item()
        assert found != splits_into_winners_and_losers(wins)


def test_four_responses_in_a_ring_settle_and_in_a_line_do_not():
    ring = torch.zeros(1, 4, 4)
    for i in range(4):
        ring[0, i, (i + 1) % 4] = 1
    line = ring.clone()
    line[0, 3, 0] = 0
    assert has_finite_optimum(torch.cat([ring, line])).tolist() == [True, False]


def test_every_pair_is_asked_as_often_as_said_and_answers_follow_the_preferences():
    world = World.from_preferences(torch.tensor([[0.5, 0.5]]), torch.tensor([[[0.5, 0.8], [0.2, 0.5]]]))
    wins_XYY = ask(world, 4000, torch.Generator().manual_seed(0))
    assert wins_XYY[0, 0, 1] + wins_XYY[0, 1, 0] == 4000
    assert torch.diagonal(wins_XYY[0]).tolist() == [0, 0]
    assert wins_XYY[0, 0, 1].item() / 4000 == pytest.approx(0.8, abs=0.03)  # more than four standard deviations
    assert empirical_world(world, wins_XYY).preference_XYY[0, 0, 1] == wins_XYY[0, 0, 1] / 4000


def test_a_pair_looks_certain_as_often_as_all_answers_agree():
    """p^n + (1 - p)^n = 0.8^3 + 0.2^3 = 0.52."""
    reference_XY, matrix_YY = torch.full((4000, 2), 0.5), torch.tensor([[0.5, 0.8], [0.2, 0.5]])
    world = World.from_preferences(reference_XY, matrix_YY.expand(4000, 2, 2))
    wins_XYY = ask(world, 3, torch.Generator().manual_seed(0))
    assert 1 - has_finite_optimum(wins_XYY).double().mean().item() == pytest.approx(0.52, abs=0.035)


def test_a_pair_never_asked_about_counts_as_even():
    world = World.random(0, 1, 2)
    assert empirical_world(world, torch.zeros(1, 2, 2)).preference_XYY[0, 0, 1] == 0.5


def test_asking_nothing_is_refused():
    with pytest.raises(ValueError, match="num_comparisons must be at least 1"):
        ask(World.random(0, 1, 2), 0, torch.Generator())

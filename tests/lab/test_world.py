"""Worlds: Bradley-Terry preferences, and numbers that cannot be probabilities."""

import math

import pytest
import torch

from penchant.lab import World, bradley_terry

HALF = torch.tensor([[0.5, 0.5]])


def test_preferences_are_the_share_of_strengths(world):
    for x in range(2):
        strength = [math.exp(r) for r in world.reward_XY[x].tolist()]
        for i in range(3):
            for j in range(3):
                share = strength[i] / (strength[i] + strength[j])
                assert world.preference_XYY[x, i, j].item() == pytest.approx(share, abs=1e-14)


def test_four_hundred_elo_points_are_ten_to_one():
    reward_XY = torch.tensor([[400 * math.log(10) / 400, 0.0]], dtype=torch.float64)
    assert bradley_terry(reward_XY)[0, 0, 1].item() == pytest.approx(10 / 11, abs=1e-14)


def test_a_seed_gives_the_same_world_again_and_another_seed_another():
    one, again, other = (World.random(seed, 2, 3) for seed in (5, 5, 6))
    assert torch.equal(one.reference_XY, again.reference_XY)
    assert torch.equal(one.known_reward_XY, again.known_reward_XY)
    assert not torch.equal(one.known_reward_XY, other.known_reward_XY)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ([[0.5, 0.6]], "sum to 1"),
        ([[1.0, 0.0]], "above 0"),
        ([[float("nan"), 0.5]], "above 0"),
        ([0.5, 0.5], "shape"),
    ],
)
def test_a_reference_that_is_no_distribution_is_refused(reference, message):
    reference_XY = torch.tensor(reference, dtype=torch.float64)
    preference_XYY = torch.full((1, 2, 2), 0.5, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        World(reference_XY, preference_XYY, torch.ones(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("matrix", [[[0.5, 0.9], [0.2, 0.5]], [[0.5, 1.5], [-0.5, 0.5]], [[float("nan")] * 2] * 2])
def test_preferences_that_do_not_add_up_are_refused(matrix):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        World.from_preferences(HALF, torch.tensor([matrix]))


def test_a_reward_that_is_not_finite_or_an_empty_response_is_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        World.from_reward(HALF, torch.tensor([[math.inf, 0.0]]))
    with pytest.raises(ValueError, match="length_XY must be at least 1 token"):
        World.from_reward(HALF, torch.zeros(1, 2), length_XY=torch.tensor([[1.0, 0.0]]))


def test_a_reward_that_is_not_a_number_is_refused_by_name():
    reference_XY, length_XY = torch.full((1, 2), 0.5).double(), torch.ones(1, 2).double()
    preference_XYY = torch.full((1, 2, 2), 0.5).double()
    with pytest.raises(ValueError, match="reward_XY holds a number that is not finite"):
        World(reference_XY, preference_XYY, length_XY, torch.tensor([[0.0, torch.inf]]).double())


def test_a_reward_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="reward_XY has shape"):
        World(HALF.double(), torch.full((1, 2, 2), 0.5).double(), torch.ones(1, 2).double(), torch.zeros(1, 3).double())


def test_asking_for_a_reward_that_nobody_knows_says_so():
    with pytest.raises(ValueError, match="no reward"):
        _ = World.from_preferences(HALF, torch.full((1, 2, 2), 0.5)).known_reward_XY

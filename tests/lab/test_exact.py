"""The closed forms against sums in Python floats, and against other policies."""

import math
import random

import pytest
import torch

from penchant.lab import (
    expected_reward,
    ipo_optimum,
    kl_divergence,
    log_partition,
    optimal_policy,
    recovered_reward,
    regularised_reward,
)

BETAS = [0.05, 0.3, 1.0, 20.0]


@pytest.mark.parametrize("beta", BETAS)
def test_the_optimum_and_its_partition_function_are_those_summed_by_hand(world, by_hand, beta):
    policy_XY = optimal_policy(world.reference_XY, world.reward_XY, beta)
    log_z_X = log_partition(world.reference_XY, world.reward_XY, beta)
    for x in range(2):
        policy, log_z = by_hand.optimum(world.reference_XY[x].tolist(), world.reward_XY[x].tolist(), beta)
        assert policy_XY[x].tolist() == pytest.approx(policy, abs=1e-13)
        assert log_z_X[x].item() == pytest.approx(log_z, abs=1e-12)


def test_no_random_policy_beats_the_optimum(world, by_hand):
    chance, beta = random.Random(0), 0.4
    reference, reward = world.reference_XY[0].tolist(), world.reward_XY[0].tolist()
    best = beta * log_partition(world.reference_XY, world.reward_XY, beta)[0].item()
    at_optimum = regularised_reward(
        optimal_policy(world.reference_XY, world.reward_XY, beta), world.reference_XY, world.reward_XY, beta
    )
    assert at_optimum[0].item() == pytest.approx(best, abs=1e-13)
    for _ in range(2000):
        weights = [chance.expovariate(1) for _ in reference]
        policy = [weight / sum(weights) for weight in weights]
        assert by_hand.objective(policy, reference, reward, beta) <= best + 1e-12


def test_the_objective_is_reward_less_beta_times_kl(world, by_hand):
    policy_XY = torch.tensor([[0.2, 0.2, 0.6], [0.7, 0.2, 0.1]], dtype=torch.float64)
    found_X = regularised_reward(policy_XY, world.reference_XY, world.reward_XY, beta=0.7)
    for x in range(2):
        numbers = (t[x].tolist() for t in (policy_XY, world.reference_XY, world.reward_XY))
        assert found_X[x].item() == pytest.approx(by_hand.objective(*numbers, 0.7), abs=1e-14)


def test_kl_counts_impossible_responses_as_nothing_and_forbidden_ones_as_infinite():
    sure, half = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    assert kl_divergence(sure, half).item() == pytest.approx(math.log(2))
    assert kl_divergence(half, sure).item() == math.inf
    assert kl_divergence(sure, sure).item() == 0


def test_expected_reward_of_a_sure_response_is_its_reward(world):
    sure_XY = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    assert expected_reward(sure_XY, world.reward_XY).tolist() == [-0.5, 0.0]


@pytest.mark.parametrize("beta", BETAS)
def test_the_reward_comes_back_from_the_optimum_and_its_partition_function(world, beta):
    policy_XY = optimal_policy(world.reference_XY, world.reward_XY, beta)
    log_z_X = log_partition(world.reference_XY, world.reward_XY, beta)
    reward_XY = recovered_reward(policy_XY, world.reference_XY, log_z_X, beta)
    assert torch.allclose(reward_XY, world.reward_XY, atol=1e-12, rtol=0)


def test_a_tiny_beta_neither_overflows_nor_leaves_the_best_response(world):
    policy_XY = optimal_policy(world.reference_XY, world.reward_XY, 1e-4)
    assert policy_XY.argmax(1).tolist() == [0, 1]
    assert policy_XY.max(1).values.tolist() == [1.0, 1.0]


def test_ipo_with_responses_drawn_alone_tilts_by_the_chance_of_beating_a_random_one(world):
    """Independent draws from mu: pi is proportional to pi_ref exp(p(y > mu) / beta), summed here in Python."""
    beta, mu = 0.3, [0.2, 0.5, 0.3]
    sampling_XYY = torch.tensor([[[a * b for b in mu] for a in mu]] * 2, dtype=torch.float64)
    policy_XY = ipo_optimum(world.reference_XY, world.preference_XYY, sampling_XYY, beta)
    for x in range(2):
        wins = [sum(m * p for m, p in zip(mu, row, strict=True)) for row in world.preference_XYY[x].tolist()]
        weights = [q * math.exp(win / beta) for q, win in zip(world.reference_XY[x].tolist(), wins, strict=True)]
        assert policy_XY[x].tolist() == pytest.approx([weight / sum(weights) for weight in weights], abs=1e-12)


def test_ipo_with_any_sampling_is_where_the_weighted_squares_have_no_slope(world):
    beta = 0.3
    sampling_XYY = torch.rand(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    policy_XY = ipo_optimum(world.reference_XY, world.preference_XYY, sampling_XYY, beta)
    for x in range(2):
        u = (policy_XY[x] / world.reference_XY[x]).log().tolist()
        for i in range(3):
            slope = sum(
                (sampling_XYY[x, i, j] + sampling_XYY[x, j, i]).item()
                * (u[i] - u[j] - (2 * world.preference_XYY[x, i, j].item() - 1) / (2 * beta))
                for j in range(3)
                if j != i
            )
            assert slope == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_a_beta_that_is_not_above_zero_is_refused(world, beta):
    with pytest.raises(ValueError, match="beta must be greater than 0"):
        log_partition(world.reference_XY, world.reward_XY, beta)

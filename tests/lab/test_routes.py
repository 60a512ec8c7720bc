"""Where people choose by Bradley-Terry, every route ends at the optimal policy."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.lab import TokenTree, World, fit_objective, fit_reward, fit_rlhf, ipo_optimum, lbfgs, optimal_policy

TOLERANCE = 1e-6


@st.composite
def worlds(draw):
    num_prompts, num_responses = draw(st.integers(1, 2)), draw(st.integers(2, 4))
    numbers = st.lists(st.floats(-2, 2), min_size=num_prompts * num_responses, max_size=num_prompts * num_responses)
    logits_XY, reward_XY = (
        torch.tensor(draw(numbers), dtype=torch.float64).reshape(num_prompts, num_responses) for _ in range(2)
    )
    return World.from_reward(torch.softmax(logits_XY, 1), reward_XY)


def distance(left_XY, right_XY):
    return (left_XY - right_XY).abs().max().item()


@pytest.mark.slow(threads=1)
@settings(max_examples=20, deadline=None)
@given(world=worlds(), beta=st.floats(0.1, 3))
def test_dpo_rlhf_and_a_fitted_reward_all_reach_the_optimum(world, beta):
    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, beta)
    dpo, rlhf, reward = fit_objective(world, "dpo", beta=beta), fit_rlhf(world, beta), fit_reward(world)
    assert dpo.solution.converged
    assert reward.solution.converged
    assert distance(dpo.policy_XY, best_XY) < TOLERANCE
    assert distance(rlhf.policy_XY, best_XY) < TOLERANCE
    assert distance(optimal_policy(world.reference_XY, reward.reward_XY, beta), best_XY) < TOLERANCE
    assert distance(fit_rlhf(world, beta, reward_XY=reward.reward_XY).policy_XY, best_XY) < TOLERANCE


@settings(max_examples=10, deadline=None)
@given(world=worlds(), beta=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_how_often_a_pair_is_shown_moves_nothing_where_a_reward_explains_the_answers(world, beta, seed):
    shape, generator = world.preference_XYY.shape, torch.Generator().manual_seed(seed)
    sampling_XYY = 0.1 + torch.rand(shape, dtype=torch.float64, generator=generator)
    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, beta)
    assert distance(fit_objective(world, sampling_XYY=sampling_XYY, beta=beta).policy_XY, best_XY) < TOLERANCE


@settings(max_examples=10, deadline=None)
@given(world=worlds(), beta=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_ipo_reaches_its_closed_form_for_any_sampling(world, beta, seed):
    shape, generator = world.preference_XYY.shape, torch.Generator().manual_seed(seed)
    sampling_XYY = 0.1 + torch.rand(shape, dtype=torch.float64, generator=generator)
    closed_XY = ipo_optimum(world.reference_XY, world.preference_XYY, sampling_XYY, beta)
    fit = fit_objective(world, "ipo_sum", sampling_XYY=sampling_XYY, beta=beta)
    assert distance(fit.policy_XY, closed_XY) < TOLERANCE


def test_the_quasi_newton_solver_reaches_the_same_point(world):
    best_XY = optimal_policy(world.reference_XY, world.reward_XY, 0.5)
    assert distance(fit_objective(world, "dpo", beta=0.5, solver=lbfgs).policy_XY, best_XY) < TOLERANCE
    assert distance(fit_rlhf(world, 0.5, solver=lbfgs).policy_XY, best_XY) < TOLERANCE


def test_the_start_does_not_matter(world):
    start_XY = torch.tensor([[3.0, -2.0, 0.0], [0.0, -3.0, 2.0]], dtype=torch.float64)
    best_XY = optimal_policy(world.reference_XY, world.reward_XY, 0.5)
    assert distance(fit_objective(world, "dpo", beta=0.5, start=start_XY).policy_XY, best_XY) < TOLERANCE
    assert distance(fit_rlhf(world, 0.5, start=start_XY).policy_XY, best_XY) < TOLERANCE


@pytest.mark.parametrize("route", ["dpo", "rlhf"])
def test_a_policy_written_token_by_token_reaches_the_optimum_over_sequences(route):
    tree = TokenTree(num_tokens=3, depth=2)
    generator = torch.Generator().manual_seed(2)
    logits_XNV = torch.randn(2, len(tree.prefixes), 3, dtype=torch.float64, generator=generator)
    world = tree.world(logits_XNV, torch.randn(2, 7, dtype=torch.float64, generator=generator))
    fits = {
        "dpo": lambda: fit_objective(world, "dpo", beta=0.5, parametrisation=tree.log_probs, start=logits_XNV),
        "rlhf": lambda: fit_rlhf(world, 0.5, parametrisation=tree.log_probs, start=logits_XNV),
    }
    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, 0.5)
    assert distance(fits[route]().policy_XY, best_XY) < TOLERANCE


@pytest.mark.parametrize("beta", [0.2, 1.0])
def test_dpo_is_rlhf_with_a_fitted_reward_even_where_no_reward_explains_the_answers(beta):
    generator = torch.Generator().manual_seed(0)
    upper_XYY = torch.rand(2, 4, 4, dtype=torch.float64, generator=generator).triu(diagonal=1)
    preference_XYY = (upper_XYY + (1 - upper_XYY.transpose(1, 2)).tril(diagonal=-1)) + 0.5 * torch.eye(4)
    world = World.from_preferences(World.random(1, 2, 4).reference_XY, preference_XYY)
    lopsided_XYY = 0.1 + torch.rand(2, 4, 4, dtype=torch.float64, generator=generator)
    reward_XY = fit_reward(world, sampling_XYY=lopsided_XYY).reward_XY
    dpo_XY = fit_objective(world, "dpo", sampling_XYY=lopsided_XYY, beta=beta).policy_XY
    assert distance(optimal_policy(world.reference_XY, reward_XY, beta), dpo_XY) < TOLERANCE


def test_the_fitted_reward_is_the_true_one_up_to_a_constant_of_the_prompt(world):
    centred_XY = world.reward_XY - world.reward_XY.mean(1, keepdim=True)
    assert distance(fit_reward(world).reward_XY, centred_XY) < TOLERANCE


def test_label_smoothing_stops_where_the_smoothed_preference_says(world):
    """cDPO has h = logit(q) / beta for two responses, q = P (1 - e) + (1 - P) e: not pi*, by intent."""
    pair = World.from_reward(torch.tensor([[0.4, 0.6]]), torch.tensor([[1.0, 0.0]]))
    fit = fit_objective(pair, "cdpo", beta=0.5, label_smoothing=0.1)
    smoothed = 0.8 * pair.preference_XYY[0, 0, 1].item() + 0.1
    margin = (fit.policy_XY / pair.reference_XY).log()[0]
    assert (margin[0] - margin[1]).item() == pytest.approx(math.log(smoothed / (1 - smoothed)) / 0.5, abs=1e-8)

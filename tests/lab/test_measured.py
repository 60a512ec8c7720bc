"""What `penchant eval` computes from samples, against the exact values of a world whose optimum is known.

Shapes: X prompts, Y responses to each, S responses drawn to a prompt.
"""

import pytest
import torch

from penchant.lab import World, expected_reward, optimal_policy
from penchant.ranking.winrate import paired_means, win_rate_of

NUM_SETS, NUM_PROMPTS, NUM_DRAWN = 200, 12, 16


def drawn(policy_XY, generator):
    """Responses, int64 of shape (X, S)."""
    return torch.multinomial(policy_XY, NUM_DRAWN, replacement=True, generator=generator)


@pytest.fixture(scope="module")
def rounds():
    """Of 200 sets of prompts from one population: exact E[R] and P(win) of pi* over pi_ref, and both from samples.

    Prompts are drawn too: what is estimated is the mean over all 400, of which some gain more than others.
    """
    population = World.random(seed=0, num_prompts=400, num_responses=5)
    reference_XY, reward_XY = population.reference_XY, population.known_reward_XY
    tilted_XY = optimal_policy(reference_XY, reward_XY, 0.3)
    gain = (expected_reward(tilted_XY, reward_XY) - expected_reward(reference_XY, reward_XY)).mean().item()
    wins_X = torch.einsum("xi,xj,xij->x", tilted_XY, reference_XY, population.preference_XYY)
    generator, found = torch.Generator().manual_seed(1), []
    for _ in range(NUM_SETS):
        prompt_X = torch.randint(400, (NUM_PROMPTS,), generator=generator)
        after_XS, before_XS = (drawn(policy_XY[prompt_X], generator) for policy_XY in (tilted_XY, reference_XY))
        won_XS = population.preference_XYY[prompt_X[:, None], after_XS, before_XS]
        credit_XS = torch.bernoulli(won_XS, generator=generator)
        of_before, of_after = (reward_XY[prompt_X[:, None], y_XS].flatten().tolist() for y_XS in (before_XS, after_XS))
        label = torch.arange(NUM_PROMPTS).repeat_interleave(NUM_DRAWN).tolist()
        means = paired_means(of_before, of_after, label)
        found.append((means, win_rate_of(credit_XS.flatten().tolist(), label)))
    return gain, wins_X.mean().item(), found


def test_the_mean_difference_of_scores_is_that_of_the_exact_expectations(rounds):
    gain, _, found = rounds
    differences = torch.tensor([means.difference for means, _ in found])
    assert abs(differences.mean().item() - gain) < 3 * (differences.std() / NUM_SETS**0.5).item()
    assert gain > 0.3
    covered = sum(means.low <= gain <= means.high for means, _ in found)
    assert 0.9 <= covered / NUM_SETS <= 0.99  # the standard error of 200 sets is 0.015


def test_the_win_rate_is_the_exact_probability_of_a_win(rounds):
    _, wins, found = rounds
    rates = torch.tensor([rate.rate for _, rate in found])
    assert abs(rates.mean().item() - wins) < 3 * (rates.std() / NUM_SETS**0.5).item()
    covered = sum(rate.low <= wins <= rate.high for _, rate in found)
    assert 0.9 <= covered / NUM_SETS <= 1

"""Rewards to advantages, against loops that say what the formulas say."""

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penchant.objectives import (
    generalised_advantages,
    grpo_advantages,
    rloo_advantages,
    shaped_rewards,
    token_rewards,
    whitened,
)

REWARD_R = torch.tensor([1.0, 0.25, -2.0, 4.0, 0.5, 0.0], dtype=torch.float64)
GROUP_R = torch.tensor([1, 0, 1, 0, 1, 0])


def others(i: int) -> list[float]:
    return [REWARD_R[j].item() for j in range(len(REWARD_R)) if j != i and GROUP_R[j] == GROUP_R[i]]


def group(i: int) -> list[float]:
    return [*others(i), REWARD_R[i].item()]


def test_rloo_compares_a_response_with_the_mean_of_the_others_to_its_prompt():
    expected = [REWARD_R[i].item() - statistics.mean(others(i)) for i in range(len(REWARD_R))]
    assert rloo_advantages(REWARD_R, GROUP_R).tolist() == pytest.approx(expected)


def test_grpo_measures_from_the_mean_in_standard_deviations_of_the_prompt():
    advantage_R = grpo_advantages(REWARD_R, GROUP_R)
    for i in range(len(REWARD_R)):
        expected = (REWARD_R[i].item() - statistics.mean(group(i))) / (statistics.stdev(group(i)) + 1e-4)
        assert advantage_R[i].item() == pytest.approx(expected)


def test_without_its_scale_grpo_is_rloo_shortened_by_one_in_the_size_of_the_group():
    unscaled_R = grpo_advantages(REWARD_R, GROUP_R, scale=False)
    assert torch.allclose(unscaled_R, rloo_advantages(REWARD_R, GROUP_R) * 2 / 3)


@pytest.mark.parametrize("estimator", [rloo_advantages, grpo_advantages])
def test_equal_rewards_teach_nothing(estimator):
    advantage_R = estimator(torch.full((6,), 0.5), GROUP_R)
    assert torch.equal(advantage_R, torch.zeros(6))


@pytest.mark.parametrize("estimator", [rloo_advantages, grpo_advantages])
def test_a_response_without_others_to_its_prompt_is_refused(estimator):
    with pytest.raises(ValueError, match=r"1 of 3 responses are the only one to their prompt, .* at least 2 responses"):
        estimator(torch.ones(3), torch.tensor([0, 1, 0]))


@pytest.mark.parametrize("estimator", [rloo_advantages, grpo_advantages])
def test_no_response_has_no_advantage(estimator):
    assert estimator(torch.empty(0), torch.empty(0, dtype=torch.int64)).shape == (0,)


@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    gamma=st.sampled_from([1.0, 0.9]),
    lam=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 9),
)
def test_gae_is_the_discounted_sum_of_surprises_whatever_stands_between_the_tokens(lengths, gamma, lam, seed):
    generator = torch.Generator().manual_seed(seed)
    owners = [r for r, length in enumerate(lengths) for _ in range(length)]
    order = torch.randperm(len(owners), generator=generator)  # the k-th token of a response is its k-th here too
    response_of_K = torch.tensor(owners)[order]
    reward_K, value_K = torch.randn(2, len(owners), dtype=torch.float64, generator=generator).unbind()
    found_K = generalised_advantages(reward_K, value_K, response_of_K, gamma=gamma, lam=lam)
    for response in range(len(lengths)):
        places = [k for k in range(len(owners)) if response_of_K[k] == response]
        rewards, values = ([x[k].item() for k in places] + [0.0] for x in (reward_K, value_K))
        surprises = [rewards[t] + gamma * values[t + 1] - values[t] for t in range(len(places))]
        for t, k in enumerate(places):
            expected = sum((gamma * lam) ** n * surprise for n, surprise in enumerate(surprises[t:]))
            assert found_K[k].item() == pytest.approx(expected, abs=1e-12)


def test_without_values_gae_is_the_reward_that_comes_with_and_after_a_token():
    reward_K, response_of_K = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0, 1, 0, 1])
    assert generalised_advantages(reward_K, torch.zeros(4), response_of_K, lam=1.0).tolist() == [5.0, 10.0, 4.0, 8.0]


def test_gae_of_nothing_is_nothing_and_passes_no_gradient():
    nothing = torch.empty(0)
    assert generalised_advantages(nothing, nothing, torch.empty(0, dtype=torch.int64)).shape == (0,)
    value_K = torch.ones(2, requires_grad=True)
    assert not generalised_advantages(value_K, value_K, torch.tensor([0, 0])).requires_grad


def test_the_score_of_a_response_falls_on_its_last_token_and_each_token_pays_for_itself():
    reward_K = token_rewards(torch.tensor([2.0, 3.0]), torch.tensor([0.1, 0.5, 0.2]), torch.tensor([0, 1, 0]))
    assert reward_K.tolist() == pytest.approx([-0.1, 2.5, 1.8])


def test_a_clipped_score_still_pays_for_a_response_that_did_not_end():
    ended_R = torch.tensor([True, False, False])
    found_R = shaped_rewards(torch.tensor([7.0, -7.0, 0.5]), ended_R, clip=1.0, missing_end_penalty=2.0)
    assert found_R.tolist() == [1.0, -3.0, -1.5]
    assert shaped_rewards(torch.tensor([7.0, -7.0, 0.5]), ended_R).tolist() == [7.0, -7.0, 0.5]


def test_whitened_advantages_have_mean_zero_and_variance_one():
    found = whitened(REWARD_R).tolist()
    assert statistics.mean(found) == pytest.approx(0, abs=1e-12)
    assert statistics.stdev(found) == pytest.approx(1)


@pytest.mark.parametrize("equal", [[3.0], [3.0, 3.0]])
def test_advantages_that_do_not_differ_are_whitened_to_zero(equal):
    assert whitened(torch.tensor(equal)).tolist() == [0.0] * len(equal)
    assert math.isfinite(whitened(torch.tensor([1e30, 0.0], dtype=torch.float64)).sum())

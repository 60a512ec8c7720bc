"""The SFT term, mixtures, implicit rewards, and sums over responses."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penchant.objectives import (
    bind,
    dpo,
    implicit_rewards,
    mixture,
    preference_credit,
    preference_probability,
    sft,
    sum_by_response,
)


def test_sft_is_the_mean_cross_entropy_of_the_chosen_tokens(pairs):
    token_logprobs = [-0.5, -1.5, -3.0]
    batch = replace(pairs([0.0], length=(3.0, 9.0)), policy_chosen_B=torch.tensor([sum(token_logprobs)]).double())
    assert sft(batch).item() == pytest.approx((0.5 + 1.5 + 3.0) / 3, rel=1e-15)


def test_sft_ignores_the_rejected_response(pairs):
    batch = pairs([2.0])
    assert torch.equal(sft(replace(batch, policy_rejected_B=batch.policy_rejected_B - 50)), sft(batch))


def test_a_mixture_is_the_weighted_sum_computed_by_hand(pairs):
    batch = pairs([2.0], length=(5.0, 4.0))
    expected = 0.7 * math.log(1 + math.exp(-0.2)) + 0.25 * (20 - 4 / 3) / 5
    total = mixture([(0.7, bind("dpo", beta=0.1)), (0.25, sft)])(batch)
    assert total.item() == pytest.approx(expected, rel=1e-14)


def test_the_gradient_of_a_mixture_is_the_mixture_of_gradients(pairs):
    batch = pairs([2.0, -1.0])

    def gradient(function):
        chosen_B = batch.policy_chosen_B.clone().requires_grad_()
        return torch.autograd.grad(function(replace(batch, policy_chosen_B=chosen_B)).sum(), chosen_B)[0]

    total = gradient(mixture([(1.0, bind("dpo")), (0.5, sft)]))
    assert torch.allclose(total, gradient(bind("dpo")) + 0.5 * gradient(sft), rtol=1e-14)


def test_a_term_of_weight_zero_is_not_computed(pairs):
    def must_not_run(batch):
        raise AssertionError("a term of weight 0 was computed")

    batch = pairs([2.0])
    assert torch.equal(mixture([(0.0, must_not_run), (1.0, bind("dpo"))])(batch), bind("dpo")(batch))


@pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
def test_a_weight_that_is_negative_or_not_finite_is_refused(weight):
    with pytest.raises(ValueError, match="weight of a term must be a finite number of at least 0"):
        mixture([(1.0, sft), (weight, sft)])


@pytest.mark.parametrize("terms", [[], [(0.0, sft)]], ids=["none", "all zero"])
def test_a_mixture_of_nothing_is_refused(terms):
    with pytest.raises(ValueError, match="needs a term of weight above 0"):
        mixture(terms)


def test_implicit_rewards_are_beta_times_the_log_ratios(pairs):
    chosen_B, rejected_B = implicit_rewards(pairs([3.0]), 0.1)
    assert chosen_B.item() == pytest.approx(0.2, rel=1e-13)
    assert rejected_B.item() == pytest.approx(-0.1, rel=1e-13)


def test_preference_probability_is_bradley_terry(pairs):
    probability = preference_probability(*implicit_rewards(pairs([3.0]), 0.1)).item()
    assert probability == pytest.approx(math.exp(0.2) / (math.exp(0.2) + math.exp(-0.1)), rel=1e-14)


@given(delta=st.floats(-300, 300), beta=st.floats(0.01, 2))
def test_dpo_is_minus_the_log_of_the_preference_probability(pairs, delta, beta):
    batch = pairs([delta])
    probability_B = preference_probability(*implicit_rewards(batch, beta))
    assert torch.allclose(dpo(batch, beta=beta), -probability_B.log(), rtol=1e-9)


def test_a_tie_counts_half_and_a_label_of_less_than_half_turns_the_pair_around():
    margin_B = torch.tensor([0.1, -0.1, 0.0, 0.1, -0.1, 0.1])
    label_B = torch.tensor([1.0, 1.0, 1.0, 0.4, 0.4, 0.5])
    assert preference_credit(margin_B).tolist() == [1, 0, 0.5, 1, 0, 1]
    assert preference_credit(margin_B, label_B).tolist() == [1, 0, 0.5, 0, 1, 0.5]


def test_token_log_probs_are_summed_by_response_in_any_order():
    sums = sum_by_response(torch.tensor([-1.0, -2.0, -4.0, -8.0]), torch.tensor([2, 0, 2, 0]), 4)
    assert sums.tolist() == [-10.0, 0.0, -5.0, 0.0]


def test_every_token_gets_the_gradient_of_its_response():
    tokens_K = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    sums_R = sum_by_response(tokens_K, torch.tensor([1, 0, 1, 2]), 3)
    (sums_R * torch.tensor([10.0, 20.0, 30.0])).sum().backward()
    assert tokens_K.grad.tolist() == [20.0, 10.0, 20.0, 30.0]


def test_the_gradient_of_the_sums_is_right():
    tokens_K = torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    response_of_K = torch.tensor([0, 0, 2, 1, 2])
    assert torch.autograd.gradcheck(lambda tokens: sum_by_response(tokens, response_of_K, 3), tokens_K)


@pytest.mark.parametrize("num_responses", [0, 3])
def test_no_tokens_sum_to_zeros(num_responses):
    sums_R = sum_by_response(torch.zeros(0), torch.zeros(0, dtype=torch.int64), num_responses)
    assert sums_R.tolist() == [0.0] * num_responses


def test_half_precision_tokens_are_summed_in_float32():
    # In bfloat16 the running sum sticks at -256, where the spacing of numbers is 2.
    sums_R = sum_by_response(torch.full((1000,), -1.0, dtype=torch.bfloat16), torch.zeros(1000, dtype=torch.int64), 1)
    assert sums_R.dtype == torch.float32
    assert sums_R.item() == -1000.0


@pytest.mark.parametrize("shape", [(3,), (2, 1)])
def test_tokens_and_responses_of_unlike_shape_are_refused(shape):
    with pytest.raises(ValueError, match="one number and one response index a token"):
        sum_by_response(torch.zeros(2), torch.zeros(shape, dtype=torch.int64), 1)

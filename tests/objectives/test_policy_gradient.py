"""The clipped loss of a policy and of a value, the weight of a token, and KL estimators: values and gradients."""

import math

import pytest
import torch

from penchant.objectives import (
    KL_ESTIMATORS,
    adapted_coefficient,
    k1,
    k2,
    k3,
    policy_loss,
    sum_by_response,
    token_weight,
    value_loss,
)

RATIOS = ("token", "sequence", "sequence_mean")
RESPONSE_OF_K = torch.tensor([0, 1, 0, 0, 2, 1])
LENGTH_R = torch.tensor([3, 2, 1])
ADVANTAGE_R = torch.tensor([1.5, -2.0, 0.5], dtype=torch.float64)
OLD_K = torch.tensor([-1.0, -0.5, -2.0, -0.1, -3.0, -0.7], dtype=torch.float64)
SHIFT_K = torch.tensor([0.05, 0.3, -0.02, 0.1, 0.4, -0.5], dtype=torch.float64)


def central_differences(function, point):
    slopes = []
    for i in range(len(point)):
        up, down = point.clone(), point.clone()
        up[i], down[i] = point[i] + 1e-6, point[i] - 1e-6
        slopes.append((function(up) - function(down)).item() / 2e-6)
    return slopes


@pytest.mark.parametrize("ratio", RATIOS)
def test_where_nothing_has_moved_every_ratio_gives_reinforce(ratio):
    logprob_K = OLD_K.clone().requires_grad_()
    loss_K, clipped_K = policy_loss(logprob_K, OLD_K, ADVANTAGE_R[RESPONSE_OF_K], RESPONSE_OF_K, ratio=ratio)
    (gradient_K,) = torch.autograd.grad(loss_K.sum(), logprob_K)
    assert torch.allclose(gradient_K, -ADVANTAGE_R[RESPONSE_OF_K])
    assert not clipped_K.any()


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_gradient_of_the_clipped_loss_agrees_with_central_differences(ratio):
    def loss(logprob_K):
        found = policy_loss(logprob_K, OLD_K, ADVANTAGE_R[RESPONSE_OF_K], RESPONSE_OF_K, ratio=ratio, clip_high=0.28)
        return (found.loss_K * torch.arange(1, 7)).sum()

    logprob_K = (OLD_K + SHIFT_K).requires_grad_()
    (gradient_K,) = torch.autograd.grad(loss(logprob_K), logprob_K)
    assert gradient_K.tolist() == pytest.approx(central_differences(loss, logprob_K.detach()), abs=1e-8)


@pytest.mark.parametrize(
    ("ratio", "advantage", "stopped"), [(1.3, 1, True), (1.3, -1, False), (0.7, 1, False), (0.7, -1, True)]
)
def test_the_gradient_stops_only_where_the_ratio_has_gone_far_enough_in_the_direction_of_its_advantage(
    ratio, advantage, stopped
):
    logprob_K = torch.tensor([math.log(ratio)], requires_grad=True)
    found = policy_loss(logprob_K, torch.zeros(1), torch.tensor([float(advantage)]), torch.tensor([0]))
    (gradient_K,) = torch.autograd.grad(found.loss_K.sum(), logprob_K)
    assert found.clipped_K.tolist() == [stopped] == [gradient_K.item() == 0]


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_loss_of_no_tokens_is_empty(ratio):
    nothing = torch.empty(0)
    found = policy_loss(nothing, nothing, nothing, torch.empty(0, dtype=torch.int64), ratio=ratio)
    assert found.loss_K.shape == (0,)


def test_the_ratio_of_a_sequence_is_the_product_over_its_tokens_and_its_loss_is_shared_out():
    loss_K, _ = policy_loss(
        OLD_K + SHIFT_K, OLD_K, ADVANTAGE_R[RESPONSE_OF_K], RESPONSE_OF_K, ratio="sequence", clip=0.2
    )
    ratios = [math.exp(0.05 - 0.02 + 0.1), math.exp(0.3 - 0.5), math.exp(0.4)]
    held = [min(max(ratio, 0.8), 1.2) for ratio in ratios]
    expected = [-min(r * a, h * a) for r, h, a in zip(ratios, held, ADVANTAGE_R.tolist(), strict=True)]
    assert sum_by_response(loss_K, RESPONSE_OF_K, 3).tolist() == pytest.approx(expected)
    assert loss_K[0] == loss_K[2] == loss_K[3]


def test_each_aggregation_weights_tokens_as_it_says():
    ones = torch.ones(3, dtype=torch.float32)
    assert torch.equal(token_weight(LENGTH_R, "sum"), ones / 3)
    assert torch.equal(token_weight(LENGTH_R, "mean"), ones / (3 * LENGTH_R))
    assert torch.equal(token_weight(LENGTH_R, "token"), ones / 6)
    assert torch.equal(token_weight(LENGTH_R, "fixed", max_length=10), ones / 30)
    assert torch.equal(token_weight(LENGTH_R[:1], "sum", num_responses=3), ones[:1] / 3)
    with pytest.raises(ValueError, match="'fixed' divides by max_length; give"):
        token_weight(LENGTH_R, "fixed")


@pytest.mark.parametrize("aggregation", ["sum", "mean", "token", "fixed"])
def test_a_batch_of_no_responses_has_no_weights(aggregation):
    assert token_weight(torch.empty(0), aggregation, max_length=5).shape == (0,)


@pytest.mark.parametrize("clip", [0.2, None])
def test_the_gradient_of_the_value_loss_agrees_with_central_differences(clip):
    old_K, return_K = torch.zeros(4, dtype=torch.float64), torch.tensor([1.0, -1.0, 0.1, 2.0], dtype=torch.float64)
    value_K = torch.tensor([0.5, 0.5, 0.05, -0.7], dtype=torch.float64, requires_grad=True)

    def loss(value_K):
        return value_loss(value_K, old_K, return_K, clip=clip).sum()

    (gradient_K,) = torch.autograd.grad(loss(value_K), value_K)
    assert gradient_K.tolist() == pytest.approx(central_differences(loss, value_K.detach()), abs=1e-8)


def test_a_value_that_has_gone_far_enough_towards_its_return_has_no_gradient():
    value_K = torch.tensor([0.5, 0.5], requires_grad=True)
    loss_K = value_loss(value_K, torch.zeros(2), torch.tensor([1.0, -1.0]))
    (gradient_K,) = torch.autograd.grad(loss_K.sum(), value_K)
    assert gradient_K.tolist() == [0.0, 1.5]
    assert loss_K.tolist() == pytest.approx([0.8**2 / 2, 1.5**2 / 2])


@pytest.mark.parametrize("estimator", KL_ESTIMATORS.values(), ids=KL_ESTIMATORS)
def test_the_gradient_of_a_kl_estimator_agrees_with_central_differences(estimator):
    log_ratio_N = torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64, requires_grad=True)
    (gradient_N,) = torch.autograd.grad(estimator(log_ratio_N).sum(), log_ratio_N)
    slopes = central_differences(lambda x: estimator(x).sum(), log_ratio_N.detach())
    assert gradient_N.tolist() == pytest.approx(slopes, abs=1e-6)


def test_k1_and_k3_have_the_kl_as_their_mean_and_k2_and_k3_are_never_below_zero():
    policy_Y, reference_Y = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4]], dtype=torch.float64).unbind()
    log_ratio_Y = (policy_Y / reference_Y).log()
    kl = torch.nn.functional.kl_div(reference_Y.log(), policy_Y, reduction="sum").item()
    means = {name: (policy_Y * function(log_ratio_Y)).sum().item() for name, function in KL_ESTIMATORS.items()}
    assert means["k1"] == pytest.approx(kl)
    assert means["k3"] == pytest.approx(kl)
    assert means["k2"] != pytest.approx(kl, rel=0.01)
    assert (k2(log_ratio_Y) >= 0).all()
    assert (k3(log_ratio_Y) >= 0).all()
    assert (k1(log_ratio_Y) < 0).any()


@pytest.mark.parametrize(("kl", "factor"), [(6.0, 1.0), (6.6, 1.01), (60.0, 1.02), (5.4, 0.99), (-1.0, 0.98)])
def test_the_coefficient_rises_above_the_target_and_falls_below_by_a_fifth_of_the_gain_at_most(kl, factor):
    assert adapted_coefficient(0.05, kl, 6.0) == pytest.approx(0.05 * factor)

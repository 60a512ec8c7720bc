"""The preference losses: values by hand, symmetries, limits, minima."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penchant.objectives import PairBatch, cdpo, dpo, ipo_mean, ipo_sum

# Policy -9 and -12, reference -10 and -11, 5 and 4 tokens: log-ratios 1 and -1, delta 2.
BY_HAND = PairBatch.hard(
    *torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]], dtype=torch.float64),
)


def soft(batch: PairBatch, probability: float, margin: float = 0.0) -> PairBatch:
    return replace(
        batch,
        probability_B=torch.full_like(batch.probability_B, probability),
        margin_B=torch.full_like(batch.margin_B, margin),
    )


def flipped(batch: PairBatch) -> PairBatch:
    """The preferences turned around: sides exchanged, labels kept."""
    return replace(batch.swap(), probability_B=batch.probability_B, margin_B=batch.margin_B)


def delta_gradient(function, delta: float, **parameters: float) -> float:
    """Gradient with respect to the policy's chosen log-prob, which is the gradient with respect to delta."""
    chosen_B = torch.tensor([delta], dtype=torch.float64, requires_grad=True)
    zero_B, one_B = torch.zeros_like(chosen_B), torch.ones_like(chosen_B)
    batch = PairBatch.hard(chosen_B, zero_B, zero_B, zero_B, one_B, one_B)
    (gradient_B,) = torch.autograd.grad(function(batch, **parameters).sum(), chosen_B)
    return gradient_B.item()


def test_dpo_is_the_formula_computed_by_hand():
    assert dpo(BY_HAND, beta=0.1).item() == pytest.approx(math.log(1 + math.exp(-0.2)), rel=1e-14)


def test_dpo_weighs_both_outcomes_by_the_soft_label_and_shifts_by_the_margin():
    z = 0.1 * 2 - 0.5
    expected = 0.7 * math.log(1 + math.exp(-z)) + 0.3 * math.log(1 + math.exp(z))
    assert dpo(soft(BY_HAND, 0.7, margin=0.5), beta=0.1).item() == pytest.approx(expected, rel=1e-14)


def test_a_margin_makes_an_unmet_preference_cost_more():
    assert dpo(soft(BY_HAND, 1.0, margin=0.5), beta=0.1).item() > dpo(BY_HAND, beta=0.1).item()


def test_cdpo_is_the_formula_computed_by_hand():
    expected = 0.8 * math.log(1 + math.exp(-0.2)) + 0.2 * math.log(1 + math.exp(0.2))
    assert cdpo(BY_HAND, beta=0.1, label_smoothing=0.2).item() == pytest.approx(expected, rel=1e-14)


def test_cdpo_composes_smoothing_with_the_soft_label_and_shifts_by_the_margin():
    q, z = 0.7 * 0.8 + 0.3 * 0.2, 0.1 * 2 - 0.5
    expected = q * math.log(1 + math.exp(-z)) + (1 - q) * math.log(1 + math.exp(z))
    loss_B = cdpo(soft(BY_HAND, 0.7, margin=0.5), beta=0.1, label_smoothing=0.2)
    assert loss_B.item() == pytest.approx(expected, rel=1e-14)


def test_ipo_sum_is_the_formula_computed_by_hand():
    assert ipo_sum(BY_HAND, beta=0.2).item() == pytest.approx((2 - 1 / 0.4) ** 2, rel=1e-14)
    expected = 0.7 * (2 - 1 / 0.4) ** 2 + 0.3 * (2 + 1 / 0.4) ** 2
    assert ipo_sum(soft(BY_HAND, 0.7), beta=0.2).item() == pytest.approx(expected, rel=1e-14)


def test_ipo_mean_divides_each_side_by_its_own_length():
    per_token = 1 / 5 - (-1) / 4
    assert ipo_mean(BY_HAND, beta=0.2).item() == pytest.approx((per_token - 1 / 0.4) ** 2, rel=1e-14)
    expected = 0.7 * (per_token - 1 / 0.4) ** 2 + 0.3 * (per_token + 1 / 0.4) ** 2
    assert ipo_mean(soft(BY_HAND, 0.7), beta=0.2).item() == pytest.approx(expected, rel=1e-14)


def test_the_two_ipos_agree_on_one_token_responses_and_only_there(pairs):
    one_token = pairs([-3.0, 0.5, 4.0], length=(1.0, 1.0))
    assert torch.equal(ipo_mean(one_token, beta=0.3), ipo_sum(one_token, beta=0.3))
    assert not torch.allclose(ipo_mean(BY_HAND, beta=0.3), ipo_sum(BY_HAND, beta=0.3))


@pytest.mark.parametrize("beta", [0.01, 0.1, 5.0])
def test_dpo_and_cdpo_start_at_ln_2_where_policy_equals_reference(pairs, beta):
    start = pairs([0.0], probability=[0.3])
    assert dpo(start, beta=beta).item() == pytest.approx(math.log(2), rel=1e-15)
    assert cdpo(start, beta=beta, label_smoothing=0.2).item() == pytest.approx(math.log(2), rel=1e-15)


def test_cdpo_without_smoothing_is_dpo_exactly(pairs):
    batch = pairs([-40.0, -1.0, 0.0, 3.0], probability=[1.0, 0.2, 0.9, 0.5], margin=[0.0, 1.0, -1.0, 2.0])
    assert torch.equal(cdpo(batch, beta=0.1, label_smoothing=0.0), dpo(batch, beta=0.1))


def test_turning_a_preference_around_adds_beta_delta_to_dpo(pairs):
    # logsigmoid(z) - logsigmoid(-z) = z
    batch = pairs([-7.0, -0.5, 0.0, 12.0])
    assert torch.allclose(dpo(flipped(batch), beta=0.1) - dpo(batch, beta=0.1), 0.1 * batch.delta_B, atol=1e-14)


def test_turning_a_preference_around_adds_two_delta_over_beta_to_ipo(pairs):
    # (D + t)^2 - (D - t)^2 = 4 D t with t = 1 / (2 beta)
    batch = pairs([-7.0, -0.5, 0.0, 12.0])
    assert torch.allclose(ipo_sum(flipped(batch), beta=0.25) - ipo_sum(batch, beta=0.25), 2 * batch.delta_B / 0.25)


def test_the_gradient_of_dpo_is_minus_beta_times_the_probability_of_being_wrong():
    for delta in (-3.0, 0.0, 5.0):
        expected = -0.4 / (1 + math.exp(0.4 * delta))
        assert delta_gradient(dpo, delta, beta=0.4) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("beta", "smoothing"), [(0.1, 0.1), (0.5, 0.25), (2.0, 0.01)])
def test_cdpo_is_at_rest_where_the_model_believes_a_label_with_probability_1_minus_e(beta, smoothing):
    rest = math.log((1 - smoothing) / smoothing) / beta
    assert delta_gradient(cdpo, rest, beta=beta, label_smoothing=smoothing) == pytest.approx(0, abs=1e-15)
    assert delta_gradient(cdpo, rest - 0.1, beta=beta, label_smoothing=smoothing) < 0
    assert delta_gradient(cdpo, rest + 0.1, beta=beta, label_smoothing=smoothing) > 0


@pytest.mark.parametrize("function", [ipo_sum, ipo_mean])
def test_ipo_has_its_minimum_zero_at_one_over_two_beta(function):
    assert delta_gradient(function, 1 / (2 * 0.2), beta=0.2) == 0
    assert delta_gradient(function, 1 / (2 * 0.2) - 0.1, beta=0.2) < 0
    assert delta_gradient(function, 1 / (2 * 0.2) + 0.1, beta=0.2) > 0


def test_ipo_with_a_soft_label_rests_where_the_label_tells_it_to(pairs):
    rest = (2 * 0.8 - 1) / (2 * 0.2)
    at, below, above = (
        ipo_sum(pairs([rest + shift], probability=[0.8]), beta=0.2).item() for shift in (0.0, -0.01, 0.01)
    )
    assert at < below
    assert at < above


@given(
    delta=st.floats(-200, 200),
    probability=st.floats(0, 1),
    margin=st.floats(-5, 5),
    beta=st.floats(0.01, 5),
    smoothing=st.floats(0, 0.49),
)
def test_no_label_makes_cross_entropy_fall_below_its_own_entropy(delta, probability, margin, beta, smoothing):
    z_free = soft(BY_HAND, probability, margin)
    batch = replace(z_free, policy_chosen_B=z_free.policy_chosen_B + delta)
    q = probability * (1 - smoothing) + (1 - probability) * smoothing
    for loss_B, p in ((dpo(batch, beta=beta), probability), (cdpo(batch, beta=beta, label_smoothing=smoothing), q)):
        entropy = -sum(x * math.log(x) for x in (p, 1 - p) if x > 0)
        assert loss_B.item() >= entropy - 1e-12


@given(low=st.floats(-300, 300), step=st.floats(1e-3, 50), beta=st.floats(0.01, 1))
def test_dpo_falls_as_delta_grows(low, step, beta):
    shifted = replace(BY_HAND, policy_chosen_B=BY_HAND.policy_chosen_B + torch.tensor([low], dtype=torch.float64))
    better = replace(shifted, policy_chosen_B=shifted.policy_chosen_B + step)
    assert dpo(better, beta=beta).item() < dpo(shifted, beta=beta).item()


@given(shift=st.floats(-50, 50))
def test_moving_both_sides_alike_changes_no_loss_that_sums(shift):
    moved = replace(
        BY_HAND,
        policy_chosen_B=BY_HAND.policy_chosen_B + shift,
        policy_rejected_B=BY_HAND.policy_rejected_B + shift,
    )
    assert torch.allclose(dpo(moved, beta=0.1), dpo(BY_HAND, beta=0.1), atol=1e-13)
    assert torch.allclose(ipo_sum(moved, beta=0.1), ipo_sum(BY_HAND, beta=0.1), atol=1e-12)

"""Labelled responses, weights of tokens and of pairs: by hand, by differences, at the limits, by enumeration."""

import inspect
import math
from dataclasses import replace

import pytest
import torch

from penchant.objectives import (
    LABELLED_OBJECTIVES,
    OBJECTIVES,
    LabelledBatch,
    PairBatch,
    bco,
    bind,
    bind_token_weights,
    decaying,
    desensitised,
    get_objective,
    kto,
    mean_kl,
    reward_shift,
    wpo_weight,
)

EVERY = pytest.mark.parametrize("name", LABELLED_OBJECTIVES)
POLICY, REFERENCE, GOOD = [-9.0, -12.5, -7.0, -20.0], [-10.0, -11.0, -7.5, -26.0], [True, False, False, True]
BASELINE = 0.4


def batch(policy=None, dtype=torch.float64) -> LabelledBatch:
    reference_R = torch.tensor(REFERENCE, dtype=dtype)
    policy_R = torch.tensor(POLICY, dtype=dtype) if policy is None else policy
    return LabelledBatch(
        policy_R, reference_R, torch.tensor(GOOD), torch.ones_like(reference_R), torch.tensor(BASELINE, dtype=dtype)
    )


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_kto_by_hand():
    found = kto(batch(), beta=0.3, desirable_weight=1.5, undesirable_weight=0.7)
    s = [p - r for p, r in zip(POLICY, REFERENCE, strict=True)]
    expected = [
        1.5 * (1 - sigmoid(0.3 * x - BASELINE)) if good else 0.7 * (1 - sigmoid(BASELINE - 0.3 * x))
        for x, good in zip(s, GOOD, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_bco_by_hand():
    s = [p - r for p, r in zip(POLICY, REFERENCE, strict=True)]
    expected = [
        -math.log(sigmoid(0.3 * x - BASELINE)) if good else -math.log(sigmoid(BASELINE - 0.3 * x))
        for x, good in zip(s, GOOD, strict=True)
    ]
    assert bco(batch(), beta=0.3).tolist() == pytest.approx(expected, rel=1e-12)


@EVERY
def test_the_gradient_agrees_with_central_differences(name):
    policy = torch.tensor(POLICY, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(bind(name)(batch(policy)).sum(), policy)
    for r in range(len(POLICY)):
        up, down = (policy.detach().clone() for _ in range(2))
        up[r] += 1e-5
        down[r] -= 1e-5
        slope = float((bind(name)(batch(up)) - bind(name)(batch(down))).sum()) / 2e-5
        assert float(slopes[r]) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    assert torch.autograd.gradcheck(lambda x: bind(name)(batch(x)), policy)


@EVERY
def test_a_step_down_the_gradient_raises_good_responses_and_lowers_bad_ones(name):
    policy = torch.tensor(POLICY, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(bind(name)(batch(policy)).sum(), policy)
    assert (slopes < 0).tolist() == GOOD


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_extreme_log_ratios_give_finite_losses_and_gradients(name, dtype):
    reference_R = torch.tensor(REFERENCE, dtype=dtype)
    policy = (reference_R + torch.tensor([-1e4, 1e4, -1e4, 1e4], dtype=dtype)).requires_grad_()
    loss_R = bind(name)(batch(policy, dtype))
    (slopes,) = torch.autograd.grad(loss_R.sum(), policy)
    assert loss_R.dtype == dtype
    assert loss_R.isfinite().all()
    assert slopes.isfinite().all()


@EVERY
def test_turning_every_label_and_log_ratio_around_changes_nothing_where_the_baseline_is_zero(name):
    one = replace(batch(), baseline=torch.zeros((), dtype=torch.float64))
    other = replace(one, policy_R=one.reference_R, reference_R=one.policy_R, desirable_R=~one.desirable_R)
    torch.testing.assert_close(bind(name)(one), bind(name)(other), rtol=1e-14, atol=0)


@EVERY
def test_the_weight_is_left_to_whoever_reduces_the_losses(name):
    assert torch.equal(bind(name)(batch()), bind(name)(replace(batch(), weight_R=9 * batch().weight_R)))


@EVERY
def test_the_row_is_complete_and_its_parameters_are_those_of_the_function(name):
    row = get_objective(name)
    keywords = [p.name for p in inspect.signature(row.function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert keywords == list(row.defaults)
    assert all((row.formula, row.when, *row.paper))


def test_before_the_first_step_kto_is_half_the_weight_and_bco_ln_2():
    start = replace(batch(), policy_R=batch().reference_R, baseline=torch.zeros((), dtype=torch.float64))
    assert bind("kto", desirable_weight=3.0)(start).tolist() == [1.5, 0.5, 0.5, 1.5]
    assert bind("bco")(start).tolist() == pytest.approx([math.log(2)] * 4)


def test_the_baselines_by_hand():
    rewards, good = torch.tensor([1.0, -0.5, 2.0]), torch.tensor([True, False, True])
    assert float(mean_kl(rewards, good)) == pytest.approx(2.5 / 3)
    assert float(mean_kl(-rewards, good)) == 0
    assert float(reward_shift(rewards, good)) == pytest.approx((1.5 - 0.5) / 2)
    assert float(reward_shift(rewards, torch.ones(3, dtype=torch.bool))) == pytest.approx(2.5 / 3)
    assert float(reward_shift(rewards, torch.zeros(3, dtype=torch.bool))) == pytest.approx(2.5 / 3)
    for baseline in (mean_kl, reward_shift):
        assert float(baseline(rewards[:0], good[:0])) == 0
        assert not baseline(rewards.requires_grad_(), good).requires_grad


def test_bco_with_its_shift_bounds_dpo_from_above():
    """The theorem of its paper: for any shift, -logsigmoid(a - b) < -logsigmoid(a - d) - logsigmoid(d - b)."""
    good, bad = torch.randn(2, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for shift in (-1.0, 0.0, 2.0):
        of = [
            bco(LabelledBatch(x, 0 * x, torch.full((100,), label), x, torch.tensor(shift).double()), beta=1.0)
            for x, label in ((good, True), (bad, False))
        ]
        assert (
            bind("dpo", beta=1.0)(PairBatch.hard(good, bad, *torch.zeros(2, 100), *torch.ones(2, 100))) < sum(of)
        ).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"policy_R": torch.zeros(2, 2)}, r"policy_R has shape \(2, 2\); give one number a response"),
        (
            {"reference_R": torch.zeros(3)},
            r"reference_R has shape \(3,\) but policy_R has \(4,\); "
            r"give every field one number a response, shape \(R,\)$",
        ),
        ({"weight_R": torch.zeros(3)}, r"weight_R has shape \(3,\) but policy_R has \(4,\)"),
        ({"desirable_R": torch.ones(4)}, r"desirable_R is of torch\.float32; give True for good"),
        ({"baseline": torch.zeros(4)}, r"baseline has shape \(4,\); give one number for all"),
    ],
    ids=["matrix", "length", "weight", "labels", "baseline"],
)
def test_tensors_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(batch(), **changed)


def test_token_weights_by_hand():
    assert desensitised(5, 3, ld_alpha=0.25).tolist() == [1, 1, 1, 0.25, 0.25]
    assert desensitised(3, 5, ld_alpha=0.25).tolist() == [1, 1, 1]
    assert desensitised(3, 3, ld_alpha=0.0).tolist() == [1, 1, 1]
    assert decaying(4, 1, gamma=0.9).tolist() == pytest.approx([1, 0.9, 0.81, 0.729])
    assert decaying(3, 1, gamma=1.0).tolist() == [1, 1, 1]


def test_parameters_go_to_the_function_or_to_the_token_weights():
    pair = PairBatch.hard(*torch.tensor([[-9.0], [-12.0], [-10.0], [-11.0], [5.0], [4.0]]))
    assert torch.equal(bind("ld_dpo", beta=0.7, ld_alpha=0.1)(pair), bind("dpo", beta=0.7)(pair))
    assert bind_token_weights("ld_dpo", beta=0.7, ld_alpha=0.1)(2, 1).tolist() == pytest.approx([1, 0.1])
    with pytest.raises(ValueError, match="gamma of d2po must be greater than 0 and at most 1, got 1"):
        bind_token_weights("d2po", gamma=1.5)
    with pytest.raises(ValueError, match="d2po has no parameter 'ld_alpha'"):
        bind("d2po", ld_alpha=0.5)
    assert {name for name in OBJECTIVES if bind_token_weights(name)} == {"ld_dpo", "d2po"}


@pytest.mark.parametrize("name", ["desirable_weight", "undesirable_weight"])
def test_a_negative_weight_of_kto_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} of kto must be at least 0, got -1"):
        bind("kto", **{name: -1})


def test_wpo_weights_of_the_policys_own_draws_average_at_most_one_in_the_logarithm():
    """E log p(v) <= log sum p^2 by Jensen, by enumeration over one token."""
    p = torch.softmax(torch.randn(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64), 0)
    alignment = p.log() - p.square().sum().log()
    assert float((p * alignment).sum()) < 0 < float(alignment.max())
    assert wpo_weight(alignment, alignment).tolist() == pytest.approx((p / p.square().sum()).square().tolist())
    assert not wpo_weight(alignment.requires_grad_(), alignment).requires_grad

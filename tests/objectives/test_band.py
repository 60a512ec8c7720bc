"""The disentanglement band: what it does to the two pulls, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from penchant.objectives import OBJECTIVES, RunningRatio, bind, in_band

LENGTH = (20.0, 4.0)


def pulls(function, batch):
    """d_w and d_l of every pair."""
    sides = [side.clone().requires_grad_() for side in (batch.policy_chosen_B, batch.policy_rejected_B)]
    loss_B = function(replace(batch, policy_chosen_B=sides[0], policy_rejected_B=sides[1]))
    slopes = torch.autograd.grad(loss_B.sum(), sides, materialize_grads=True)
    return -slopes[0], slopes[1]


@pytest.mark.parametrize("name", [name for name, row in OBJECTIVES.items() if not row.memory])
@pytest.mark.parametrize(("ratio", "rho"), [(1.0, 0.9), (0.3, 0.5), (4.0, 1.0)])
def test_every_pair_that_is_pulled_apart_ends_within_the_band_with_the_same_loss(pairs, name, ratio, rho):
    batch = pairs([-2.0, 0.5, 3.0], length=LENGTH)
    plain, banded = bind(name), in_band(bind(name), ratio=ratio, rho=rho)
    torch.testing.assert_close(banded(batch), plain(batch), rtol=0, atol=0)
    (before_w, before_l), (after_w, after_l) = pulls(plain, batch), pulls(banded, batch)
    apart = (before_w > 0) & (before_l > 0)
    r_B = after_w[apart] / after_l[apart]
    assert bool((r_B >= rho * ratio * (1 - 1e-9)).all())
    assert bool((r_B <= ratio / rho * (1 + 1e-9)).all())
    torch.testing.assert_close((after_w * after_l)[apart], (before_w * before_l)[apart])
    torch.testing.assert_close((after_w[~apart], after_l[~apart]), (before_w[~apart], before_l[~apart]))


def test_a_ratio_within_the_band_is_left_alone(pairs):
    batch = pairs([-2.0, 0.5, 3.0])
    torch.testing.assert_close(
        pulls(in_band(bind("dpo"), ratio=1.1, rho=0.8), batch), pulls(bind("dpo"), batch), rtol=0, atol=0
    )


def test_the_shorter_side_of_simpo_no_longer_gets_the_larger_pull(pairs):
    batch = pairs([0.5], length=LENGTH)
    before_w, before_l = pulls(bind("simpo"), batch)
    assert before_w.item() / before_l.item() == pytest.approx(4 / 20)
    after_w, after_l = pulls(in_band(bind("simpo"), ratio=1.0, rho=0.9), batch)
    assert after_w.item() / after_l.item() == pytest.approx(0.9)


def test_without_a_gradient_it_is_the_objective_itself(pairs):
    batch = pairs([-2.0, 0.5, 3.0])
    with torch.no_grad():
        assert torch.equal(in_band(bind("dpo"), ratio=3.0, rho=0.5)(batch), bind("dpo")(batch))


def test_a_measured_ratio_is_the_running_geometric_mean_and_the_band_follows_it(pairs):
    batch, ratio = pairs([-2.0, 0.5, 3.0]), RunningRatio()
    banded = in_band(bind("dpo"), ratio=ratio, rho=1.0)
    torch.testing.assert_close(pulls(banded, batch), pulls(bind("dpo"), batch), rtol=0, atol=0)
    measured = [(3.0, 1.0), (0.0, 1.0), (float("nan"), 1.0), (2.0, 4.0), (9.0, 3.0)]
    for norms in measured:
        ratio.add(*norms)
    logs, weights = np.log([3.0, 0.5, 3.0]), 0.98 ** np.array([2, 1, 0])
    assert ratio.value == pytest.approx(np.exp((weights * logs).sum() / weights.sum()), rel=1e-12)
    pull_w, pull_l = pulls(banded, batch)
    torch.testing.assert_close(pull_w / pull_l, torch.full_like(pull_w, ratio.value))
    again = RunningRatio()
    again.restore(ratio.state())
    assert again == ratio

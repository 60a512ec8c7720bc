"""What a reward model is trained on: by hand, by finite differences, and on the same tensors as TRL's own trainer."""

import math
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from penchant.objectives import bradley_terry_loss, centring


def numbers(*columns):
    return torch.tensor(columns, dtype=torch.float64)


def test_the_loss_is_the_formula_computed_by_hand():
    found = bradley_terry_loss(*numbers([2.0, 0.5], [0.5, 1.0], [1.0, 0.3], [0.0, 0.25]))
    z = 0.5 - 1.0 - 0.25
    expected = 0.3 * math.log(1 + math.exp(-z)) + 0.7 * math.log(1 + math.exp(z))
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-1.5)), expected], rel=1e-14)


def test_a_pair_found_equally_good_costs_least_where_its_rewards_are_equal():
    gaps = torch.linspace(-2, 2, 41, dtype=torch.float64)
    losses = bradley_terry_loss(gaps, torch.zeros_like(gaps), torch.full_like(gaps, 0.5), torch.zeros_like(gaps))
    assert float(gaps[losses.argmin()]) == pytest.approx(0, abs=1e-12)
    assert float(losses.min()) == pytest.approx(math.log(2), rel=1e-14)


def test_only_differences_of_rewards_count_and_centring_alone_sees_what_they_have_in_common():
    chosen, rejected, p, m = numbers([2.0, -1.0], [0.5, 1.0], [1.0, 0.3], [0.0, 0.25])
    moved = bradley_terry_loss(chosen + 5, rejected + 5, p, m)
    assert moved.tolist() == pytest.approx(bradley_terry_loss(chosen, rejected, p, m).tolist(), rel=1e-12)
    assert centring(chosen, rejected).tolist() == [6.25, 0.0]
    assert centring(chosen + 5, rejected + 5).tolist() == [156.25, 100.0]


def test_the_gradients_are_those_of_finite_differences():
    chosen, rejected, p, m = numbers([2.0, -1.0, 30.0], [0.5, 1.0, -30.0], [1.0, 0.3, 0.5], [0.0, 0.25, -1.0])
    rewards = (chosen.requires_grad_(), rejected.requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: bradley_terry_loss(a, b, p, m), rewards)
    assert torch.autograd.gradcheck(centring, rewards)


@pytest.mark.parametrize("coefficient", [None, 0.01])
@pytest.mark.parametrize("margins", [None, [0.5, 0.0, -0.25]])
def test_value_and_gradient_are_those_of_trls_reward_trainer(coefficient, margins):
    pytest.importorskip("trl", reason="TRL is the oracle here; install the extra `oracle`")
    from trl.trainer.reward_trainer import RewardTrainer

    rewards = torch.tensor([1.5, -0.25, 3.0, 0.5, 0.75, -2.0], dtype=torch.float64, requires_grad=True)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=False),
        accelerator=SimpleNamespace(gather=lambda x: x, gather_for_metrics=lambda x: x),
        args=SimpleNamespace(center_rewards_coefficient=coefficient),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
    )
    inputs = {} if margins is None else {"margin": torch.tensor(margins, dtype=torch.float64)}
    theirs = RewardTrainer.compute_loss(trainer, lambda **_: SimpleNamespace(logits=rewards[:, None]), inputs)
    chosen, rejected = rewards.chunk(2)
    margin = inputs.get("margin", torch.zeros(3, dtype=torch.float64))
    ours = bradley_terry_loss(chosen, rejected, torch.ones_like(margin), margin).mean()
    ours = ours + (coefficient or 0.0) * centring(chosen, rejected).mean()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    (own,), (other,) = torch.autograd.grad(ours, rewards), torch.autograd.grad(theirs, rewards)
    assert torch.allclose(own, other, rtol=1e-12)

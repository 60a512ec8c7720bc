"""Objectives with a memory: what they remember, from when on, and that no gradient flows through it."""

import math
from dataclasses import replace

import pytest
import torch

from penchant.objectives import OBJECTIVES, Remembering, bind

LENGTHS = (5.0, 4.0)


def nll(x):
    return math.log1p(math.exp(-x))


def leads(batch):
    """(d, D) of every pair, in Python floats."""
    sides = zip(batch.log_ratio_chosen_B.tolist(), batch.log_ratio_rejected_B.tolist(), strict=True)
    return [(won / LENGTHS[0] - lost / LENGTHS[1], won - lost) for won, lost in sides]


def spread(numbers):
    mean = sum(numbers) / len(numbers)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in numbers) / (len(numbers) - 1))


def test_alpha_dpo_standardises_by_running_mean_and_deviation(pairs):
    loss, mean, sd = bind("alpha_dpo", beta=2.0, gamma=0.7, alpha=0.3), 0.0, 1.0
    for deltas in ([1.0, -2.0, 4.0], [0.5, 3.0, 9.0]):
        batch = pairs(deltas)
        found_B = loss(batch)
        loss.keep()
        d = [lead for lead, _ in leads(batch)]
        mean, sd = (0.9 * old + 0.1 * new for old, new in zip((mean, sd), spread(d), strict=True))
        policy = zip(batch.policy_chosen_B.tolist(), batch.policy_rejected_B.tolist(), d, strict=True)
        expected = [nll(2.0 * (won / 5 - lost / 4 - 0.3 * (x - mean) / sd) - 0.7) for won, lost, x in policy]
        assert found_B.tolist() == pytest.approx(expected, rel=1e-12)


def test_beta_dpo_raises_beta_for_a_batch_that_is_clearer_than_those_before(pairs):
    loss, running = bind("beta_dpo", beta=0.2, alpha=0.5), 0.0
    for deltas in ([1.0, -2.0, 4.0], [0.5, 3.0, 9.0], [-30.0, -40.0, -50.0]):
        found_B = loss(pairs(deltas))
        loss.keep()
        now = sum(deltas) / 3
        running = 0.9 * running + 0.1 * now
        beta = max(0.2 * (1 + 0.5 * (now - running)), 1e-3)
        assert found_B.tolist() == pytest.approx([nll(beta * x) for x in deltas], rel=1e-10)


@pytest.mark.parametrize(("name", "plain"), [("alpha_dpo", "simpo"), ("beta_dpo", "dpo")])
def test_without_alpha_each_is_the_objective_it_extends(pairs, name, plain):
    batch = pairs([1.0, -2.0, 4.0])
    shared = {"beta": 0.7} | ({"gamma": 0.4} if plain == "simpo" else {})
    torch.testing.assert_close(bind(name, alpha=0.0, **shared)(batch), bind(plain, **shared)(batch))


@pytest.mark.parametrize("name", [name for name, row in OBJECTIVES.items() if row.memory])
def test_a_batch_is_remembered_when_it_is_kept_and_not_when_it_is_only_looked_at(pairs, name):
    loss, first, other = bind(name), pairs([1.0, -2.0, 4.0]), pairs([8.0, 5.0, 9.0])
    before_B = loss(first)
    loss(other)
    torch.testing.assert_close(loss(first), before_B, rtol=0, atol=0)
    loss(other)
    loss.keep()
    assert not torch.equal(loss(first), before_B)


def test_a_batch_without_finite_numbers_is_forgotten(pairs):
    loss = bind("beta_dpo")
    loss.keep()
    assert loss.memory_S is None, "nothing was looked at yet"
    loss(pairs([math.nan]))
    loss.keep()
    assert loss.memory_S is None


@pytest.mark.parametrize("name", [name for name, row in OBJECTIVES.items() if row.memory])
def test_the_gradient_is_that_with_all_that_is_remembered_held_fixed(pairs, name):
    batch, loss = pairs([1.0, -2.0, 4.0]), bind(name)
    assert isinstance(loss, Remembering)
    chosen_B = batch.policy_chosen_B.clone().requires_grad_()
    (found_B,) = torch.autograd.grad(loss(replace(batch, policy_chosen_B=chosen_B)).sum(), chosen_B)
    held = lambda x_B: loss.function(replace(batch, policy_chosen_B=x_B), batch, loss.after_S)  # noqa: E731
    for pair in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[pair] = 1e-6
        slope = (held(chosen_B.detach() + step).sum() - held(chosen_B.detach() - step).sum()) / 2e-6
        assert found_B[pair].item() == pytest.approx(slope.item(), rel=1e-6)

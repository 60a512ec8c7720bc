"""Minimisers on functions whose minimum is known."""

import pytest
import torch

from penchant.lab import descend, lbfgs, newton, stable_step


def bowl(x):
    """Least, and 3, at (1, -2)."""
    return 3 + 2 * (x[0] - 1) ** 2 + (x[1] + 2) ** 4 + (x[1] + 2) ** 2


START = torch.tensor([5.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("minimise", [newton, lbfgs])
def test_a_minimiser_finds_the_minimum_and_leaves_the_start_alone(minimise):
    start = START.clone()
    solution = minimise(bowl, start)
    assert solution.converged
    assert solution.parameters.tolist() == pytest.approx([1.0, -2.0], abs=1e-8)
    assert solution.value == pytest.approx(3, abs=1e-12)
    assert solution.gradient_norm < 1e-8
    assert torch.equal(start, START)


def test_newton_goes_down_where_the_loss_is_not_convex():
    solution = newton(lambda x: -torch.cos(x).sum(), torch.tensor([2.5], dtype=torch.float64))
    assert solution.value == pytest.approx(-1, abs=1e-12)


def test_newton_leaves_directions_without_curvature_where_they_were():
    def loss(logits):
        return -torch.log_softmax(logits, 0) @ torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)

    solution = newton(loss, torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64))
    assert solution.converged
    assert solution.parameters.sum().item() == pytest.approx(9.0, abs=1e-9)
    assert torch.softmax(solution.parameters, 0).tolist() == pytest.approx([0.2, 0.3, 0.5], abs=1e-12)


def test_a_loss_that_falls_for_ever_is_not_reported_as_solved():
    solution = newton(lambda x: torch.exp(-x).sum(), torch.zeros(1, dtype=torch.float64), max_steps=20)
    assert not solution.converged
    assert solution.num_steps == 20
    assert solution.parameters.item() == pytest.approx(20)  # a Newton step on exp(-x) is exactly 1


def test_a_gradient_that_leads_nowhere_is_not_reported_as_solved():
    def rises_both_ways(x):
        return (x + x**2 + 4 * x.detach().abs()).sum()

    solution = newton(rises_both_ways, torch.zeros(1, dtype=torch.float64), max_steps=5)
    assert not solution.converged
    assert abs(solution.parameters.item()) < 1e-12
    assert solution.gradient_norm == pytest.approx(1)


def test_descent_keeps_the_points_asked_for_and_repeats_the_textbook_update():
    points = descend(lambda x: (x**2).sum(), torch.tensor([1.0, -3.0]), step_size=0.1, steps=[0, 2, 5])
    expected = [[0.8**k, -3 * 0.8**k] for k in (0, 2, 5)]
    assert points.tolist() == [pytest.approx(row, rel=1e-6) for row in expected]


def test_steps_of_the_same_length_do_not_shorten_as_the_loss_flattens():
    points = descend(lambda x: torch.exp(-x).sum(), torch.zeros(1), step_size=0.5, steps=range(9), same_length=True)
    assert points.flatten().tolist() == [0.5 * k for k in range(9)]


@pytest.mark.parametrize("steps", [[], [3, 2], [0, 0], [-1, 2]])
def test_steps_that_do_not_rise_are_refused(steps):
    with pytest.raises(ValueError, match="steps must rise"):
        descend(lambda x: (x**2).sum(), torch.ones(1), step_size=0.1, steps=steps)


def test_a_stable_step_is_one_over_the_largest_curvature():
    assert stable_step(lambda x: x[0] ** 2 + 5 * x[1] ** 2, torch.zeros(2)) == pytest.approx(0.1)

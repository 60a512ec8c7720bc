"""Minimisers that run to convergence: Newton, L-BFGS, and plain gradient descent for comparison.

Full batch, float64, tens of parameters. A parameter tensor may have any shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["Loss", "Solution", "descend", "lbfgs", "newton", "stable_step"]

Loss = Callable[[Tensor], Tensor]
"""A function from parameters to a scalar."""

FLAT = 1e-12  # relative to the largest, smaller curvature counts as rounding, and the direction as flat


@dataclass(frozen=True, eq=False)
class Solution:
    """The result of a minimiser.

    Args:
        parameters: the point.
        value: the loss there.
        gradient_norm: Euclidean norm of the gradient there.
        num_steps: steps taken.
        converged: whether the last step was within the tolerance. A loss without a minimum, which only falls towards
            infinity, ends with False.
    """

    parameters: Tensor
    value: float
    gradient_norm: float
    num_steps: int
    converged: bool


def newton(
    loss: Loss, start: Tensor, *, max_steps: int = 100, tolerance: float = 1e-9, longest: float = 3.0
) -> Solution:
    """Newton's method with the absolute values of the curvatures and a backtracking line search.

    Absolute values make every step a descent step even if the loss is not convex. Flat directions (a constant added to
    all logits of a softmax) are not moved in.

    Args:
        loss: twice differentiable.
        start: the starting point; not changed.
        max_steps: the most steps.
        tolerance: converged once no parameter moves by more in a step.
        longest: the most that a parameter moves in a step; near an inflection the Newton step is unbounded.

    Returns:
        The Solution.

    Example:
        >>> import torch
        >>> from penchant.lab import newton
        >>> solution = newton(lambda x: (x.exp() - 2 * x).sum(), torch.zeros(1, dtype=torch.float64))
        >>> solution.parameters.exp(), solution.converged
        (tensor([2.], dtype=torch.float64), True)
    """
    point, moved, num_steps = start.detach().clone(), float("inf"), 0
    while moved > tolerance and num_steps < max_steps:
        value, gradient = _value_and_gradient(loss, point)
        curvatures, directions = torch.linalg.eigh(_hessian(loss, point))
        sizes = curvatures.abs()
        sizes = torch.where(sizes > FLAT * sizes.max(), sizes, torch.inf)
        step = -(directions @ ((directions.T @ gradient.flatten()) / sizes)).reshape(point.shape)
        step = step * (longest / step.abs().max().clamp_min(longest))
        # The full Newton step, not the line search's, which is also small if there is no descent.
        moved, num_steps = step.abs().max().item(), num_steps + 1
        point = point + _backtrack(loss, point, value, step, slope=(gradient * step).sum())
    return _solution(loss, point, num_steps, converged=moved <= tolerance)


def lbfgs(loss: Loss, start: Tensor, *, max_steps: int = 1000, tolerance: float = 1e-10) -> Solution:
    """L-BFGS with a strong Wolfe line search, stopped by the largest entry of the gradient.

    Args:
        loss: differentiable.
        start: the starting point; not changed.
        max_steps: the most steps.
        tolerance: converged once no entry of the gradient is larger.

    Returns:
        The Solution.

    Example:
        >>> import torch
        >>> from penchant.lab import lbfgs
        >>> lbfgs(lambda x: (x.exp() - 2 * x).sum(), torch.zeros(1, dtype=torch.float64)).parameters.exp()
        tensor([2.0000], dtype=torch.float64)
    """
    point = start.detach().clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [point],
        max_iter=max_steps,
        max_eval=5 * max_steps,
        tolerance_grad=tolerance,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        value, point.grad = _value_and_gradient(loss, point)
        return value

    optimiser.step(closure)
    _, gradient = _value_and_gradient(loss, point)
    converged = gradient.abs().max().item() <= tolerance
    return _solution(loss, point.detach(), int(optimiser.state[point]["n_iter"]), converged=converged)


def descend(loss: Loss, start: Tensor, *, step_size: float, steps: Sequence[int], same_length: bool = False) -> Tensor:
    """Gradient descent, recorded at the given steps: theta <- theta - step_size * gradient.

    With `same_length` the gradient is normalised, so that all steps have the same length, as with Adam and RMSprop
    approximately. It then never converges.

    Args:
        loss: differentiable.
        start: the starting point; not changed.
        step_size: the learning rate.
        steps: the points to record, as ascending numbers of steps; 0 is the start.
        same_length: whether to divide the gradient by its norm, which must not be 0.

    Returns:
        Tensor of shape (len(steps), *start.shape).

    Raises:
        ValueError: the steps are not ascending from 0 or more.

    Example:
        >>> import torch
        >>> from penchant.lab import descend
        >>> descend(lambda x: (x**2).sum(), torch.ones(1), step_size=0.25, steps=[0, 1, 3]).flatten()
        tensor([1.0000, 0.5000, 0.1250])
    """
    if not steps or steps[0] < 0 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError(f"steps must rise from 0 or more, got {list(steps)}")
    point, kept, wanted = start.detach().clone(), [], set(steps)
    for step in range(steps[-1] + 1):
        if step in wanted:
            kept.append(point)
        if step < steps[-1]:
            _, gradient = _value_and_gradient(loss, point)
            point = point - step_size * (gradient / gradient.norm() if same_length else gradient)
    return torch.stack(kept)


def stable_step(loss: Loss, point: Tensor) -> float:
    """1 / the largest curvature at a point: a learning rate without overshoot near it.

    Example:
        >>> import torch
        >>> from penchant.lab import stable_step
        >>> stable_step(lambda x: (x**2).sum(), torch.ones(1))
        0.5
    """
    return 1 / float(torch.linalg.eigvalsh(_hessian(loss, point)).abs().max())


def _value_and_gradient(loss: Loss, point: Tensor) -> tuple[float, Tensor]:
    point = point.detach().requires_grad_()
    value = loss(point)
    (gradient,) = torch.autograd.grad(value, point)
    return float(value.detach()), gradient


def _hessian(loss: Loss, point: Tensor) -> Tensor:
    flat = point.detach().flatten().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(flat.reshape(point.shape)), flat, create_graph=True)
    # All rows in one batched backward pass.
    (hessian,) = torch.autograd.grad(gradient, flat, torch.eye(flat.numel()).to(flat), is_grads_batched=True)
    return hessian


def _backtrack(loss: Loss, point: Tensor, value: float, step: Tensor, slope: Tensor) -> Tensor:
    # Near the minimum the loss changes by less than its own rounding, which must not stop the last steps.
    slack = 1e-14 * abs(value)
    for _ in range(60):
        if loss(point + step).item() <= value + 1e-4 * slope.item() + slack:
            break
        step, slope = step / 2, slope / 2
    return step


def _solution(loss: Loss, point: Tensor, num_steps: int, converged: bool) -> Solution:
    value, gradient = _value_and_gradient(loss, point)
    return Solution(point, value, gradient.norm().item(), num_steps, converged)

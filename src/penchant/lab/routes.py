"""Three routes from preferences to a policy: a preference objective, the true reward, a fitted reward.

Shapes: X prompts, Y responses. If people choose by Bradley-Terry, all three reach the same policy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from penchant.lab.exact import positive
from penchant.lab.optimise import Loss, Solution, newton
from penchant.lab.population import answer_weights, objective_loss, population_loss
from penchant.lab.world import World
from penchant.objectives import Objective

__all__ = ["PolicyFit", "RewardFit", "Solver", "fit_objective", "fit_reward", "fit_rlhf", "log_softmax_policy"]

Parametrisation = Callable[[Tensor], Tensor]
"""A function from parameters to log-probs of shape (X, Y)."""

Solver = Callable[[Loss, Tensor], Solution]
"""`newton` or `lbfgs`."""


@dataclass(frozen=True, eq=False)
class PolicyFit:
    """A policy found by a minimiser: its probabilities, shape (X, Y), and the minimiser's result."""

    policy_XY: Tensor
    solution: Solution


@dataclass(frozen=True, eq=False)
class RewardFit:
    """A reward found by a minimiser, shape (X, Y), and the minimiser's result."""

    reward_XY: Tensor
    solution: Solution


def log_softmax_policy(logits_XY: Tensor) -> Tensor:
    """The tabular policy: one logit per prompt and response; log-probs of shape (X, Y).

    Example:
        >>> import torch
        >>> from penchant.lab import log_softmax_policy
        >>> log_softmax_policy(torch.zeros(1, 4)).exp()
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    return torch.log_softmax(logits_XY, dim=1)


def fit_objective(
    world: World,
    objective: str | Objective = "dpo",
    *,
    sampling_XYY: Tensor | None = None,
    parametrisation: Parametrisation = log_softmax_policy,
    start: Tensor | None = None,
    solver: Solver = newton,
    **parameters: float,
) -> PolicyFit:
    """Minimise the population loss of a registered objective over policies.

    Args:
        world: the preferences and the reference.
        objective: a name in the table, or your own Objective.
        sampling_XYY: frequency of each ordered pair; default: both drawn from the reference.
        parametrisation: from parameters to log-probs; default: one logit per response.
        start: the first parameters; default: the log-probs of the reference (for the default parametrisation).
        solver: the minimiser.
        parameters: those of the objective, by name.

    Returns:
        The PolicyFit. `solution.converged` is False if the loss has no minimum.

    Raises:
        ValueError: the objective or a parameter does not exist, or it couples the pairs of a batch.

    Example:
        >>> from penchant.lab import World, fit_objective, optimal_policy
        >>> world = World.random(seed=0, num_prompts=2, num_responses=3)
        >>> fit = fit_objective(world, "dpo", beta=0.5)
        >>> exact = optimal_policy(world.reference_XY, world.known_reward_XY, beta=0.5)
        >>> bool((fit.policy_XY - exact).abs().max() < 1e-9)
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 7.
    """
    loss, soft_labels = objective_loss(objective, **parameters)
    total = population_loss(loss, world, sampling_XYY=sampling_XYY, soft_labels=soft_labels)
    return _fit_policy(total, world, parametrisation, start, solver)


def fit_rlhf(
    world: World,
    beta: float,
    *,
    reward_XY: Tensor | None = None,
    parametrisation: Parametrisation = log_softmax_policy,
    start: Tensor | None = None,
    solver: Solver = newton,
) -> PolicyFit:
    """Maximise E[R] - beta KL(pi || pi_ref), with exact expectations: reinforcement learning without sampling.

    Args:
        world: the reference, and the reward unless another is given.
        beta: strength of the pull to the reference, > 0.
        reward_XY: the reward to maximise; default: the world's own.
        parametrisation: from parameters to log-probs; default: one logit per response.
        start: the first parameters; default: the log-probs of the reference (for the default parametrisation).
        solver: the minimiser.

    Returns:
        The PolicyFit.

    Raises:
        ValueError: beta is not above 0, or there is no reward.

    Example:
        >>> from penchant.lab import World, fit_rlhf, optimal_policy
        >>> world = World.random(seed=0, num_prompts=2, num_responses=3)
        >>> exact = optimal_policy(world.reference_XY, world.known_reward_XY, beta=0.5)
        >>> bool((fit_rlhf(world, beta=0.5).policy_XY - exact).abs().max() < 1e-9)
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 3.
    """
    reward_XY = world.known_reward_XY if reward_XY is None else reward_XY
    positive(beta)

    def loss(log_policy_XY: Tensor) -> Tensor:
        # From log-probs, not probabilities: log 0 has no gradient, and a policy may come that near to 0.
        regularised_XY = reward_XY - beta * (log_policy_XY - world.reference_XY.log())
        return -(log_policy_XY.exp() * regularised_XY).sum(1).mean()

    return _fit_policy(loss, world, parametrisation, start, solver)


def fit_reward(world: World, *, sampling_XYY: Tensor | None = None, solver: Solver = newton) -> RewardFit:
    """Fit the reward that explains the preferences best: min over r of -E[P_ij logsigmoid(r_i - r_j)].

    Args:
        world: the people's preferences.
        sampling_XYY: frequency of each ordered pair; default: both drawn from the reference.
        solver: the minimiser.

    Returns:
        The RewardFit; the rewards of each prompt sum to 0, since only differences are identified.

    Example:
        >>> from penchant.lab import World, bradley_terry, fit_reward
        >>> world = World.random(seed=0, num_prompts=2, num_responses=3)
        >>> error = bradley_terry(fit_reward(world).reward_XY) - world.preference_XYY
        >>> bool(error.abs().max() < 1e-9)
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 2.
    """
    answered_XYY = answer_weights(world, sampling_XYY)

    def loss(reward_XY: Tensor) -> Tensor:
        return -(answered_XYY * F.logsigmoid(reward_XY[:, :, None] - reward_XY[:, None, :])).sum()

    solution = solver(loss, torch.zeros_like(world.reference_XY))
    return RewardFit(solution.parameters - solution.parameters.mean(1, keepdim=True), solution)


def _fit_policy(
    loss: Loss, world: World, parametrisation: Parametrisation, start: Tensor | None, solver: Solver
) -> PolicyFit:
    start = world.reference_XY.log() if start is None else start
    solution = solver(lambda parameters: loss(parametrisation(parameters)), start)
    return PolicyFit(parametrisation(solution.parameters).exp(), solution)

"""Optimum: DPO, RLHF with the true reward, and RLHF with a fitted reward reach the same policy.

Shapes: X prompts, Y responses, S snapshots.
"""

import torch
from torch import Tensor

from penchant.lab.exact import kl_divergence, log_partition, optimal_policy, regularised_reward
from penchant.lab.optimise import Loss, descend, lbfgs, newton, stable_step
from penchant.lab.population import objective_loss, population_loss
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import PolicyFit, fit_objective, fit_reward, fit_rlhf, log_softmax_policy
from penchant.lab.tree import TokenTree
from penchant.lab.world import World

__all__ = ["optimum"]

CLAIM = (
    "Where people choose by Bradley-Terry and every response is compared, DPO reaches the policy that is optimal for "
    "the hidden reward, as RLHF does with the true reward or a fitted one."
)
TOLERANCE = 1e-6
STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def optimum(seed: int = 0, num_prompts: int = 3, num_responses: int = 4, beta: float = 0.5) -> Result:
    """Run the three routes to their minimum and compare each with pi* = pi_ref exp(R / beta) / Z.

    There are two controls: the same with a token-level policy, and comparisons that leave the responses in two groups
    that never meet, so that preferences do not determine the policy and DPO's result depends on its start.

    Args:
        seed: of rewards and reference.
        num_prompts: prompts, at least 1.
        num_responses: responses to each, at least 4 (two groups of two in the control).
        beta: strength of the pull to the reference, > 0.

    Returns:
        The Result; figure: distance from pi* against steps of gradient descent.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["optimum"](num_prompts=1).held
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, eq. 3 to 7 and section 5.
    """
    require("num_prompts", num_prompts, num_prompts >= 1, "at least 1")
    require("num_responses", num_responses, num_responses >= 4, "at least 4")
    require("beta", beta, 0.05 <= beta <= 10, "from 0.05 to 10, as beyond them descent is slow and rounding shows")
    world = World.random(seed, num_prompts, num_responses)
    best_XY = optimal_policy(world.reference_XY, world.known_reward_XY, beta)

    fitted_XY = fit_reward(world).reward_XY
    routes = {
        "dpo": fit_objective(world, "dpo", beta=beta),
        "dpo, L-BFGS": fit_objective(world, "dpo", beta=beta, solver=lbfgs),
        "rlhf, true reward": fit_rlhf(world, beta),
        "rlhf, fitted reward": fit_rlhf(world, beta, reward_XY=fitted_XY),
    }
    measured = {f"distance from pi*: {name}": _distance(fit.policy_XY, best_XY) for name, fit in routes.items()}
    measured["distance from pi*: dpo, token by token"] = _token_by_token(seed, beta)
    checks = {
        f"{name.removeprefix('distance from pi*: ')} within {TOLERANCE:g} of pi*": value < TOLERANCE
        for name, value in measured.items()
    }

    most = beta * log_partition(world.reference_XY, world.known_reward_XY, beta).mean().item()
    shortfall = most - _objective(world, routes["dpo"].policy_XY, beta)
    loss_gap, policy_gap = _two_groups(world, beta)
    measured |= {
        "KL(dpo || pi*)": kl_divergence(routes["dpo"].policy_XY, best_XY).mean().item(),
        "beta log Z - objective of dpo": shortfall,
        "groups that never meet: difference in loss of two minima": loss_gap,
        "groups that never meet: distance of the two policies": policy_gap,
    }
    checks["the objective at dpo's policy is beta log Z"] = abs(shortfall) < TOLERANCE
    checks["with groups that never meet, equal losses leave the policy open"] = loss_gap < 1e-9 and policy_gap > 0.01
    options = {"seed": seed, "num_prompts": num_prompts, "num_responses": num_responses, "beta": beta}
    return Result("optimum", CLAIM, checks, measured, (_figure(world, best_XY, beta),), options)


def _objective(world: World, policy_XY: Tensor, beta: float) -> float:
    return regularised_reward(policy_XY, world.reference_XY, world.known_reward_XY, beta).mean().item()


def _distance(policy_XY: Tensor, other_XY: Tensor) -> float:
    return (policy_XY - other_XY).abs().max().item()


def _token_by_token(seed: int, beta: float) -> float:
    tree = TokenTree(num_tokens=3, depth=2)
    generator = torch.Generator().manual_seed(seed)
    shape = (1, len(tree.prefixes), tree.num_tokens)
    logits_XNV = torch.randn(shape, dtype=torch.float64, generator=generator)
    reward_XY = torch.randn(1, len(tree.sequences), dtype=torch.float64, generator=generator)
    world = tree.world(logits_XNV, reward_XY)
    fit = fit_objective(world, "dpo", beta=beta, parametrisation=tree.log_probs, start=logits_XNV)
    return _distance(fit.policy_XY, optimal_policy(world.reference_XY, reward_XY, beta))


def _two_groups(world: World, beta: float) -> tuple[float, float]:
    """Responses 0 and 1 are compared with each other, and so are the others; no pair joins the groups."""
    group_Y = torch.arange(world.num_responses) >= 2
    sampling_XYY = (group_Y[:, None] == group_Y[None, :]).double().expand_as(world.preference_XYY)
    start_XY = world.reference_XY.log()

    def fit(start: Tensor) -> PolicyFit:
        return fit_objective(world, "dpo", beta=beta, sampling_XYY=sampling_XYY, start=start)

    one, other = fit(start_XY), fit(start_XY + group_Y.double())
    return abs(one.solution.value - other.solution.value), _distance(one.policy_XY, other.policy_XY)


def _figure(world: World, best_XY: Tensor, beta: float) -> Figure:
    loss, soft_labels = objective_loss("dpo", beta=beta)
    total = population_loss(loss, world, soft_labels=soft_labels)
    start_XY = world.reference_XY.log()

    def dpo(logits_XY: Tensor) -> Tensor:
        return total(log_softmax_policy(logits_XY))

    def rlhf(logits_XY: Tensor) -> Tensor:
        policy_XY = log_softmax_policy(logits_XY).exp()
        return -regularised_reward(policy_XY, world.reference_XY, world.known_reward_XY, beta).mean()

    return Figure(
        title="DPO and RLHF descend to the same policy, pi*",
        x_label="steps of gradient descent",
        y_label="largest difference in probability from pi*",
        series=(_trace("dpo", dpo, start_XY, best_XY), _trace("rlhf, true reward", rlhf, start_XY, best_XY)),
        x_scale="log",
        y_scale="log",
    )


def _trace(label: str, loss: Loss, start_XY: Tensor, best_XY: Tensor) -> Series:
    # The curvature at the minimum, not at the start: the loss of RLHF is not convex in the logits.
    step_size = stable_step(loss, newton(loss, start_XY).parameters)
    points_SXY = descend(loss, start_XY, step_size=step_size, steps=STEPS)
    distances = [_distance(log_softmax_policy(point_XY).exp(), best_XY) for point_XY in points_SXY]
    return Series.of(label, STEPS, distances)

"""Frontier: reward against KL for DPO, RLHF, IPO and best-of-n, each computed exactly.

Shapes: X prompts, Y responses.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from penchant.lab.exact import expected_reward, ipo_optimum, kl_divergence, optimal_policy
from penchant.lab.population import from_reference
from penchant.lab.result import Figure, Result, Series, require
from penchant.lab.routes import fit_objective, fit_reward
from penchant.lab.world import World

__all__ = ["best_of_n", "frontier", "largest_reward"]

CLAIM = (
    "No policy has more reward at its KL than the optimum of some beta: DPO and RLHF lie on that frontier, whose slope "
    "is beta, while IPO and best-of-n lie on or under it."
)
BETAS = (0.1, 0.2, 0.35, 0.6, 1.0, 2.0, 5.0)
NUMS = (1, 2, 3, 4, 6, 8, 16, 32)
NUM_RANDOM = 200
TOLERANCE = 1e-6
SMALLEST = 1e-9  # the start of a figure's axis

Curves = Mapping[str, list[tuple[float, float]]]
"""(KL, reward) of policies, by method."""


def best_of_n(reference_XY: Tensor, reward_XY: Tensor, n: int) -> Tensor:
    """The distribution of the best of n samples of the reference, by reward: P(y) = F(y)^n - F(<y)^n.

    F(y) and F(<y) are the probabilities that one sample has a reward of at most, or below, that of y. Responses of the
    same reward share in proportion to the reference.

    Args:
        reference_XY: pi_ref.
        reward_XY: R.
        n: how many samples, at least 1.

    Returns:
        Tensor of shape (X, Y).

    Raises:
        ValueError: n is below 1.

    Example:
        >>> import torch
        >>> from penchant.lab.experiments.frontier import best_of_n
        >>> best_of_n(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]), n=2)
        tensor([[0.7500, 0.2500]])

    Reference:
        Theoretical guarantees on the best-of-n alignment policy, arXiv 2401.01879.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    below_XYY = (reward_XY[:, None, :] < reward_XY[:, :, None]).to(reference_XY)
    equal_XYY = (reward_XY[:, None, :] == reward_XY[:, :, None]).to(reference_XY)
    below_XY = (below_XYY @ reference_XY[:, :, None])[:, :, 0]
    equal_XY = (equal_XYY @ reference_XY[:, :, None])[:, :, 0]
    return reference_XY / equal_XY * ((below_XY + equal_XY) ** n - below_XY**n)


def largest_reward(world: World, kl: float) -> float:
    """The largest expected reward of any policy with a KL of at most `kl`, both averaged over prompts.

    Found by bisection: the KL of the optimum decreases in beta, and one beta applies to all prompts.

    Args:
        world: the reference and the reward.
        kl: in nats, at least 0.

    Returns:
        Reward.

    Example:
        >>> from penchant.lab import World, expected_reward
        >>> from penchant.lab.experiments.frontier import largest_reward
        >>> world = World.random(seed=0, num_prompts=2, num_responses=3)
        >>> start = expected_reward(world.reference_XY, world.known_reward_XY).mean().item()
        >>> abs(largest_reward(world, kl=0.0) - start) < 1e-6
        True
    """
    low, high = math.log(1e-4), math.log(1e8)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _at(world, _optimal(world, math.exp(middle)))[0] > kl else (low, middle)
    return _at(world, _optimal(world, math.exp(high)))[1]


def frontier(seed: int = 0, num_prompts: int = 3, num_responses: int = 5) -> Result:
    """Trace reward against KL by beta (DPO, RLHF, IPO) or n (best-of-n), and compare each policy with the frontier.

    Args:
        seed: of the world and of the random policies.
        num_prompts: prompts, at least 1.
        num_responses: responses to each, at least 3 (with two, every policy is on the frontier of its prompt).

    Returns:
        The Result. Figure: expected reward against KL.

    Raises:
        ConfigError: an option is out of range.

    Example:
        >>> from penchant.lab import EXPERIMENTS
        >>> EXPERIMENTS["frontier"](num_prompts=1).held
        True

    Reference:
        Direct Preference Optimization, arXiv 2305.18290, section 6.1 (the figure). Best-of-n and its bound
        log n - (n - 1) / n: Theoretical guarantees on the best-of-n alignment policy, arXiv 2401.01879.
    """
    require("num_prompts", num_prompts, num_prompts >= 1, "at least 1")
    require("num_responses", num_responses, num_responses >= 3, "at least 3")
    world = World.random(seed, num_prompts, num_responses)
    curves = _curves(world)
    below = {name: [largest_reward(world, kl) - reward for kl, reward in points] for name, points in curves.items()}
    bound_excess = max(kl - (math.log(n) - (n - 1) / n) for n, (kl, _) in zip(NUMS, curves["best of n"], strict=True))
    slope_error = max(abs(_slope(world, beta) / beta - 1) for beta in BETAS)

    measured = {f"least distance below the frontier: {name}": min(gaps) for name, gaps in below.items()}
    measured |= {f"largest distance below the frontier: {name}": max(gaps) for name, gaps in below.items()}
    measured["relative error of d reward / d KL = beta"] = slope_error
    measured["KL of best-of-n less its bound, at most"] = bound_excess
    checks = {
        "no policy is above the frontier": min(min(gaps) for gaps in below.values()) > -TOLERANCE,
        "rlhf is on it": max(below["rlhf"]) < TOLERANCE,
        "rlhf with a fitted reward is on it": max(below["rlhf, fitted reward"]) < TOLERANCE,
        "dpo is on it": max(below["dpo"]) < TOLERANCE,
        "ipo leaves it": max(below["ipo"]) > 1e-4,
        "best-of-n leaves it": max(below["best of n"]) > 1e-4,
        "the slope of the frontier is beta": slope_error < 1e-4,
        "the KL of best-of-n is at most log n - (n - 1) / n": bound_excess < 1e-12,
    }
    options = {"seed": seed, "num_prompts": num_prompts, "num_responses": num_responses}
    return Result("frontier", CLAIM, checks, measured, _figures(curves, below), options)


def _figures(curves: Curves, below: Mapping[str, list[float]]) -> tuple[Figure, Figure]:
    def series(name: str, x: Sequence[float], y: Sequence[float]) -> Series:
        is_fitted = name == "rlhf, fitted reward"
        dash = "fitted" if is_fitted else ""
        return Series.of(name, x, y, colour="rlhf" if is_fitted else "", dash=dash, points=name in ("dpo", "random"))

    kl = "KL to the reference, nats"
    on, under = [], []
    for name, points in curves.items():
        kls, rewards = zip(*sorted(points), strict=True)
        on.append(series(name, kls, rewards))
        gaps = sorted((x, max(gap, SMALLEST)) for (x, _), gap in zip(points, below[name], strict=True) if x > 0)
        under.append(series(name, *zip(*gaps, strict=True)))
    title = "No policy has more reward at its KL than DPO and RLHF"
    left = f"reward below the frontier, at least {SMALLEST:g}"
    return (
        Figure(title, kl, "expected reward", tuple(on)),
        Figure(
            "DPO and RLHF are on the frontier; IPO and best-of-n are under it", kl, left, tuple(under), y_scale="log"
        ),
    )


def _curves(world: World) -> Curves:
    reference_XY, reward_XY = world.reference_XY, world.known_reward_XY
    fitted_XY = fit_reward(world).reward_XY
    generator = torch.Generator().manual_seed(world.num_responses)
    scale = torch.linspace(0.1, 3.0, NUM_RANDOM, dtype=torch.float64)[:, None, None]
    random = torch.softmax(
        reference_XY.log()
        + scale * torch.randn(NUM_RANDOM, *reference_XY.shape, dtype=torch.float64, generator=generator),
        dim=2,
    )
    policies = {
        "rlhf": [_optimal(world, beta) for beta in BETAS],
        "rlhf, fitted reward": [optimal_policy(reference_XY, fitted_XY, beta) for beta in BETAS],
        "dpo": [fit_objective(world, "dpo", beta=beta).policy_XY for beta in BETAS],
        "ipo": [ipo_optimum(reference_XY, world.preference_XYY, from_reference(world), beta / 4) for beta in BETAS],
        "best of n": [best_of_n(reference_XY, reward_XY, n) for n in NUMS],
        "random": list(random),
    }
    return {name: [_at(world, policy_XY) for policy_XY in found] for name, found in policies.items()}


def _optimal(world: World, beta: float) -> Tensor:
    return optimal_policy(world.reference_XY, world.known_reward_XY, beta)


def _at(world: World, policy_XY: Tensor) -> tuple[float, float]:
    kl = kl_divergence(policy_XY, world.reference_XY).mean().item()
    return kl, expected_reward(policy_XY, world.known_reward_XY).mean().item()


def _slope(world: World, beta: float) -> float:
    (kl_low, reward_low), (kl_high, reward_high) = (_at(world, _optimal(world, beta * f)) for f in (1 + 1e-4, 1 - 1e-4))
    return (reward_high - reward_low) / (kl_high - kl_low)

"""Finite data: sample answers from people, and estimate the world from them.

Shapes: X prompts, Y responses.
"""

import torch
from torch import Tensor

from penchant.lab.world import World

__all__ = ["ask", "empirical_world", "has_finite_optimum"]


def ask(world: World, num_comparisons: int, generator: torch.Generator) -> Tensor:
    """Sample people's answers about every pair, the same number of times.

    Args:
        world: the people's preferences.
        num_comparisons: answers per pair, at least 1.
        generator: the random generator.

    Returns:
        Tensor of shape (X, Y, Y): counts of i preferred to j.

    Raises:
        ValueError: num_comparisons is below 1.

    Example:
        >>> import torch
        >>> from penchant.lab import World, ask
        >>> wins_XYY = ask(World.random(seed=0, num_prompts=1, num_responses=2), 5, torch.Generator().manual_seed(0))
        >>> (wins_XYY + wins_XYY.transpose(1, 2))[0, 0, 1].item()
        5.0
    """
    if num_comparisons < 1:
        raise ValueError(f"num_comparisons must be at least 1, got {num_comparisons}")
    draws = torch.rand((num_comparisons, *world.preference_XYY.shape), dtype=torch.float64, generator=generator)
    upper_XYY = (draws < world.preference_XYY).double().sum(0).triu(diagonal=1)
    asked_XYY = torch.full_like(upper_XYY, num_comparisons).triu(diagonal=1)
    return upper_XYY + (asked_XYY - upper_XYY).transpose(1, 2)


def empirical_world(world: World, wins_XYY: Tensor) -> World:
    """The world estimated from answers: preferences are shares of wins, and there is no reward.

    Args:
        world: whose reference and lengths are kept.
        wins_XYY: counts of i preferred to j.

    Returns:
        A World; a pair without answers has 1/2.

    Example:
        >>> import torch
        >>> from penchant.lab import World, empirical_world
        >>> world = World.random(seed=0, num_prompts=1, num_responses=2)
        >>> empirical_world(world, torch.tensor([[[0.0, 3.0], [1.0, 0.0]]])).preference_XYY[0, 0, 1].item()
        0.75
    """
    total_XYY = wins_XYY + wins_XYY.transpose(1, 2)
    share_XYY = torch.where(total_XYY > 0, wins_XYY / total_XYY.clamp_min(1), 0.5)
    return World.from_preferences(world.reference_XY, share_XYY, world.length_XY)


def has_finite_optimum(wins_XYY: Tensor) -> Tensor:
    """Whether the loss of DPO has one finite minimum: every response must beat every other, directly or through others.

    Otherwise the responses fall into two groups, one of which never lost to the other. Raising all its members together
    lowers the loss without bound; or, if the groups never met, does not change it, and there are many minima. This is
    also the condition for the Bradley-Terry likelihood to have one finite maximum.

    Args:
        wins_XYY: counts of i preferred to j.

    Returns:
        Boolean tensor of shape (X,).

    Example:
        >>> import torch
        >>> from penchant.lab import has_finite_optimum
        >>> has_finite_optimum(torch.tensor([[[0.0, 2.0], [1.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]]]))
        tensor([ True, False])

    Reference:
        Ford, Solution of a ranking problem from binary comparisons, American Mathematical Monthly 64, 1957.
    """
    reach_XYY = (wins_XYY > 0) | torch.eye(wins_XYY.shape[1], dtype=torch.bool)
    for _ in range(wins_XYY.shape[1]):
        reach_XYY = (reach_XYY.double() @ reach_XYY.double()) > 0
    return reach_XYY.all(2).all(1)

"""The expected loss of an objective over all possible data: every pair, weighted by its frequency.

Shapes: X prompts, Y responses, B = X Y (Y - 1) ordered pairs.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from penchant.lab.world import World
from penchant.objectives import Objective, PairBatch, PairFunction, bind, get_objective

__all__ = ["answer_weights", "from_reference", "objective_loss", "ordered_pairs", "population_loss"]


def from_reference(world: World) -> Tensor:
    """The frequency of each ordered pair if both responses are drawn from the reference, shape (X, Y, Y).

    Example:
        >>> from penchant.lab import World, from_reference
        >>> from_reference(World.random(seed=0, num_prompts=1, num_responses=3)).shape
        torch.Size([1, 3, 3])
    """
    return world.reference_XY[:, :, None] * world.reference_XY[:, None, :]


def answer_weights(world: World, sampling_XYY: Tensor | None = None) -> Tensor:
    """The share of all answers that prefer i to j: shown in either order, times P_ij.

    Args:
        world: the people's preferences.
        sampling_XYY: frequency of each ordered pair; default: both drawn from the reference.

    Returns:
        Tensor of shape (X, Y, Y) that sums to 1, 0 on the diagonal.

    Raises:
        ValueError: a prompt has no pair with positive frequency.

    Example:
        >>> import torch
        >>> from penchant.lab import World
        >>> from penchant.lab.population import answer_weights
        >>> always = torch.tensor([[[0.5, 1.0], [0.0, 0.5]]])
        >>> answer_weights(World.from_preferences(torch.tensor([[0.5, 0.5]]), always))
        tensor([[[0., 1.],
                 [0., 0.]]], dtype=torch.float64)
    """
    shown_XYY = _shown(world, sampling_XYY)
    return (shown_XYY + shown_XYY.transpose(1, 2)) * world.preference_XYY


def ordered_pairs(
    world: World, log_policy_XY: Tensor, *, sampling_XYY: Tensor | None = None, soft_labels: bool = True
) -> PairBatch:
    """Every ordered pair of different responses to every prompt, as one batch with weights that sum to 1.

    With soft labels a pair (i, j) is weighted by its frequency and has the label P_ij. With hard labels (i, j) means
    "i was preferred to j", weighted by the frequency in either order times P_ij. For a loss linear in the label, such
    as those of DPO and IPO, both are equal; for one that reads no label only the second is right.

    Args:
        world: the preferences and the reference.
        log_policy_XY: log-probs of the policy, shape (X, Y).
        sampling_XYY: mu, frequency of each ordered pair, at least 0; scaled to sum to 1 for each prompt, the
            diagonal left out. Default: both drawn from the reference.
        soft_labels: which of the two.

    Returns:
        A PairBatch of X Y (Y - 1) pairs in the order x, chosen, rejected.

    Raises:
        ValueError: a prompt has no pair with positive frequency.

    Example:
        >>> from penchant.lab import World, ordered_pairs
        >>> world = World.random(seed=0, num_prompts=1, num_responses=2)
        >>> batch = ordered_pairs(world, world.reference_XY.log())
        >>> batch.weight_B, batch.delta_B
        (tensor([0.5000, 0.5000], dtype=torch.float64), tensor([0., 0.], dtype=torch.float64))
    """
    chosen_B, rejected_B = _sides(world)
    values = (log_policy_XY, world.reference_XY.log(), world.length_XY)
    batch = PairBatch.hard(*(value_XY.flatten()[side_B] for value_XY in values for side_B in (chosen_B, rejected_B)))
    different_XYY = _different(world)
    if not soft_labels:
        return replace(batch, weight_B=answer_weights(world, sampling_XYY)[different_XYY])
    weight_B = _shown(world, sampling_XYY)[different_XYY]
    return replace(batch, weight_B=weight_B, probability_B=world.preference_XYY[different_XYY])


def population_loss(
    loss: PairFunction, world: World, *, sampling_XYY: Tensor | None = None, soft_labels: bool = True
) -> Callable[[Tensor], Tensor]:
    """E[loss] over prompts, pairs shown and answers given, as a function of the policy: the loss on infinite data.

    Args:
        loss: an objective with its parameters set, from `bind` or `mixture`.
        world: the preferences and the reference.
        sampling_XYY: frequency of each ordered pair; default: both drawn from the reference.
        soft_labels: whether P is given as a label or as a weight (see `ordered_pairs`).

    Returns:
        A function from log-probs of a policy, shape (X, Y), to a scalar; gradients flow.

    Raises:
        ValueError: a prompt has no pair with positive frequency.

    Example:
        >>> from penchant.lab import World, population_loss
        >>> from penchant.objectives import bind
        >>> world = World.random(seed=0, num_prompts=2, num_responses=3)
        >>> population_loss(bind("dpo"), world)(world.reference_XY.log())  # ln 2 at the reference
        tensor(0.6931, dtype=torch.float64)
    """
    # Everything except the policy's log-probs is computed once here, for thousands of minimiser steps.
    at_reference = ordered_pairs(world, world.reference_XY.log(), sampling_XYY=sampling_XYY, soft_labels=soft_labels)
    chosen_B, rejected_B = _sides(world)

    def expectation(log_policy_XY: Tensor) -> Tensor:
        flat = log_policy_XY.flatten()
        batch = replace(at_reference, policy_chosen_B=flat[chosen_B], policy_rejected_B=flat[rejected_B])
        return (batch.weight_B * loss(batch)).sum()

    return expectation


def objective_loss(objective: str | Objective, **parameters: float) -> tuple[PairFunction, bool]:
    """An objective's function, and whether it reads soft labels, for `population_loss`.

    Args:
        objective: a name in the table, or your own Objective.
        parameters: its parameters, by name.

    Returns:
        (function, soft_labels).

    Raises:
        ValueError: the loss of a pair depends on the other pairs of its batch, so there is no expectation over pairs;
            it reads the sequential KL; or the objective or a parameter does not exist.

    Example:
        >>> from penchant.lab import objective_loss
        >>> objective_loss("sft")[1]
        False
    """
    row = get_objective(objective) if isinstance(objective, str) else objective
    if "kl" in row.reads:
        raise ValueError(
            f"{row.name} reads the distribution of every token, but a response of the lab has none; choose another"
        )
    if row.batch_coupled:
        raise ValueError(f"{row.name} couples the pairs of a batch, so it has no loss of a single pair; choose another")
    return bind(row, **parameters), "probability" in row.reads


def _different(world: World) -> Tensor:
    return ~torch.eye(world.num_responses, dtype=torch.bool).expand(world.preference_XYY.shape)


def _sides(world: World) -> tuple[Tensor, Tensor]:
    """Indices of the chosen and the rejected response of each pair in a flattened (X, Y) table."""
    x_B, chosen_B, rejected_B = _different(world).nonzero().T
    return x_B * world.num_responses + chosen_B, x_B * world.num_responses + rejected_B


def _shown(world: World, sampling_XYY: Tensor | None) -> Tensor:
    """The frequency of each ordered pair, as shares that sum to 1 over all prompts."""
    sampling_XYY = (from_reference(world) if sampling_XYY is None else sampling_XYY) * _different(world)
    total_X = sampling_XYY.sum((1, 2))
    if not (total_X > 0).all() or not (sampling_XYY >= 0).all():
        raise ValueError(
            "sampling_XYY must be at least 0, and above 0 for some pair of different responses to each prompt"
        )
    return sampling_XYY / total_X[:, None, None] / world.num_prompts

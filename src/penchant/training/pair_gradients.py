"""Norms and dot product of the gradients of a pair's two log-probs with respect to all trained weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from penchant import ranks
from penchant.objectives import PairBatch, RunningRatio

__all__ = ["gradient_products", "measure_ratio"]

PAIRS_BETWEEN = 16
"""Pairs trained on for each pair whose two gradients are measured, if the band's ratio is measured."""


def measure_ratio(
    ratio: RunningRatio,
    score_one: Callable[[], PairBatch],
    parameters: Iterable[torch.nn.Parameter],
    step: int,
    batch_size: int,
) -> None:
    """Add one pair in `PAIRS_BETWEEN` to the ratio, but at most one a step; the first after the first step.

    score_one: scores the pair, with a graph.
    """
    if step % -(-PAIRS_BETWEEN // batch_size) == 0:
        batch = score_one()
        chosen, rejected, _ = gradient_products(batch.policy_chosen_B, batch.policy_rejected_B, parameters)
        ratio.add(*ranks.gather((rejected**0.5, chosen**0.5))[0])


def gradient_products(
    chosen: Tensor, rejected: Tensor, parameters: Iterable[torch.nn.Parameter]
) -> tuple[float, float, float]:
    """|g_w|^2, |g_l|^2 and g_w . g_l of the gradients of two log-probs of the same graph.

    It runs two backward passes, overwrites the gradients of `parameters` and leaves them zero.
    """
    parameters = list(parameters)
    _zero(parameters)
    rejected.backward(retain_graph=True)
    of_rejected = [None if p.grad is None else p.grad.detach().clone() for p in parameters]
    _zero(parameters)
    chosen.backward()
    products = [(0.0, 0.0, 0.0)]
    for parameter, other in zip(parameters, of_rejected, strict=True):
        if parameter.grad is not None and other is not None:
            g_w, g_l = parameter.grad.flatten(), other.flatten()
            products.append((float(g_w @ g_w), float(g_l @ g_l), float(g_w @ g_l)))
    _zero(parameters)
    of_chosen, of_rejected_side, between = map(sum, zip(*products, strict=True))
    return of_chosen, of_rejected_side, between


def _zero(parameters: Iterable[torch.nn.Parameter]) -> None:
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.zero_()

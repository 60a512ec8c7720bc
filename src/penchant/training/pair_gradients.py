"""Norms and dot product of the gradients of a pair's two log-probs with respect to all trained weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["gradient_products"]


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

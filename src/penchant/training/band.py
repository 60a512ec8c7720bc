"""Measure whether the loss separates the two sides of a pair or moves both the same way: the disentanglement band.

A small step along the gradient of a pair's loss, d_w grad log pi(w) - d_l grad log pi(l), makes the chosen response
likelier and the rejected one less likely if r = d_w / d_l lies within [rho a, a / rho], with
a = |grad log pi(l)| / |grad log pi(w)| and rho the cosine of the two (arXiv 2604.18239). `objectives/band.py` holds an
objective to a given band; this module measures the band of one pair, for any objective.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from penchant.models.language_model import LanguageModel
from penchant.objectives import PairBatch
from penchant.training.preferences import PreferenceTask
from penchant.training.task import Task

__all__ = ["place_in_band"]


def place_in_band(
    model: LanguageModel, task: Task[Any], item: Any, parameters: Iterable[torch.nn.Parameter]
) -> str | None:
    """Which sides of the pair its own gradient moves the right way: "inside" for both, "chosen_falls" or
    "rejected_rises" if one is wrong; None if it is no pair, has no separating gradient, or also depends on a KL.

    It costs one forward and two backward passes over a single pair, overwrites the gradients of `parameters` and leaves
    them zero.
    """
    task = task.for_batch(model, [[item]])
    while hasattr(task, "inner"):  # unwrap tasks that add to another's loss
        task = task.inner
    if not isinstance(task, PreferenceTask) or task.live is not None:
        return None
    batch = task.batch_of(model, [item])
    pull_chosen, pull_rejected = _pulls(task, batch, item)
    if pull_chosen <= 0 or pull_rejected <= 0:
        return None
    parameters = list(parameters)
    _zero(parameters)
    batch.policy_rejected_B.backward(retain_graph=True)
    of_rejected = [None if p.grad is None else p.grad.detach().clone() for p in parameters]
    _zero(parameters)
    batch.policy_chosen_B.backward()
    products = [(0.0, 0.0, 0.0)]
    for parameter, other in zip(parameters, of_rejected, strict=True):
        if parameter.grad is not None and other is not None:
            g_w, g_l = parameter.grad.flatten(), other.flatten()
            products.append((float(g_w @ g_w), float(g_l @ g_l), float(g_w @ g_l)))
    chosen, rejected, between = map(sum, zip(*products, strict=True))
    _zero(parameters)
    if pull_chosen * chosen < pull_rejected * between:  # r < rho a
        return "chosen_falls"
    return "rejected_rises" if pull_rejected * rejected < pull_chosen * between else "inside"  # r > a / rho


def _pulls(task: PreferenceTask, batch: PairBatch, item: Any) -> tuple[float, float]:
    """d_w and d_l: how fast the loss of this one pair falls as log pi(w) grows, and as log pi(l) falls."""
    sides = [side.detach().requires_grad_() for side in (batch.policy_chosen_B, batch.policy_rejected_B)]
    loss = task.loss(replace(batch, policy_chosen_B=sides[0], policy_rejected_B=sides[1]), [item])
    chosen, rejected = torch.autograd.grad(loss, sides, materialize_grads=True)
    return -float(chosen), float(rejected)


def _zero(parameters: Iterable[torch.nn.Parameter]) -> None:
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.zero_()

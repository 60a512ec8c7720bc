"""AdamW, with its memory laid out before the first activation."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from penchant.models.language_model import LanguageModel
from penchant.models.numerics import give_back_freed_memory
from penchant.training.config import OptimiserConfig

__all__ = ["adamw", "release"]


def adamw(
    model: LanguageModel, parameters: Mapping[str, torch.nn.Parameter], config: OptimiserConfig, learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser of these parameters of the model, with gradients and moments allocated.

    They come before the first activation, so that long-lived memory lies together. Weights move out of the file they
    were mapped from: the first step would do it page by page, in five times the time, and whoever writes to that file
    would end the run. A model whose weights are another's too gets its own here.
    """
    optimiser = torch.optim.AdamW(
        parameters.values(),
        lr=learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        fused=model.numerics.device.type in ("cpu", "cuda"),
    )
    for parameter in parameters.values():
        if model.sharded is None:
            parameter.data = parameter.data.clone()
        parameter.grad = torch.zeros_like(parameter)
        step = torch.zeros((), device=parameter.device if optimiser.defaults["fused"] else "cpu")
        moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
        optimiser.state[parameter] = {"step": step, **moments}
    model.add_up_vocabulary_gradients(at_once=True)
    return optimiser


def release(
    model: LanguageModel, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Let go of gradients and moments; what is left is the model."""
    model.add_up_vocabulary_gradients(at_once=False)
    optimiser.state.clear()
    for parameter in parameters.values():
        parameter.grad = None
    give_back_freed_memory()

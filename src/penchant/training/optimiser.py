"""AdamW, its moments in float32 or in 8 bits, with its memory laid out before the first activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.numerics import give_back_freed_memory
from penchant.models.quantised import bitsandbytes
from penchant.training.config import OptimiserConfig

__all__ = ["adamw", "release", "require_moments"]


def adamw(
    model: LanguageModel, parameters: Mapping[str, torch.nn.Parameter], config: OptimiserConfig, learning_rate: float
) -> torch.optim.Optimizer:
    """The optimiser of these parameters of the model, with gradients and moments allocated.

    They come before the first activation, so that long-lived memory lies together. Weights move out of the file they
    were mapped from: the first step would do it page by page, in five times the time, and whoever writes to that file
    would end the run. A model whose weights are another's too gets its own here. Moments in 8 bits are those of
    Dettmers et al. 2021 (arXiv 2110.02861), by bitsandbytes.
    """
    device = model.numerics.device.type
    usual: dict[str, Any] = {
        "lr": learning_rate,
        "betas": (config.beta1, config.beta2),
        "eps": config.epsilon,
        "weight_decay": config.weight_decay,
    }
    optimiser: Any
    if config.moments == "8bit":
        optimiser = bitsandbytes("optimiser.moments").optim.AdamW8bit(parameters.values(), **usual)
    else:
        optimiser = torch.optim.AdamW(parameters.values(), **usual, fused=device in ("cpu", "cuda"))
    for number, parameter in enumerate(parameters.values()):
        if model.sharded is None:
            parameter.data = parameter.data.clone()
        parameter.grad = torch.zeros_like(parameter)
        if isinstance(optimiser, torch.optim.AdamW):
            step = torch.zeros((), device=parameter.device if optimiser.defaults["fused"] else "cpu")
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            optimiser.state[parameter] = {"step": step, **moments}
        else:
            optimiser.init_state(optimiser.param_groups[0], parameter, 0, number)
    model.add_up_vocabulary_gradients(at_once=True)
    return cast(torch.optim.Optimizer, optimiser)


def require_moments(config: OptimiserConfig, device: torch.device) -> None:
    """Raise ConfigError where moments are to be in 8 bits and bitsandbytes, or its part for the device, is absent."""
    if config.moments == "8bit":
        bitsandbytes("optimiser.moments")
        if device.type not in ("cpu", "cuda"):
            raise ConfigError(f"optimiser.moments: there are none in 8 bits on {device.type}; leave it out")


def release(
    model: LanguageModel, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Let go of gradients and moments; what is left is the model."""
    model.add_up_vocabulary_gradients(at_once=False)
    optimiser.state.clear()
    for parameter in parameters.values():
        parameter.grad = None
    give_back_freed_memory()

"""AdamW with float32 or 8-bit moments, whose memory is allocated before the first activation."""

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
    """Make the optimiser of these parameters, with gradients and moments allocated.

    They are allocated before the first activation, so that long-lived memory is contiguous. Weights are copied out of
    the memory-mapped file: the first step would do it page by page, in five times the time, and a write to that file
    would crash the run. A model that shares its weights with another gets its own copy. 8-bit moments are those of
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
    """Raise ConfigError for 8-bit moments if bitsandbytes, or its backend for the device, is missing."""
    if config.moments == "8bit":
        bitsandbytes("optimiser.moments")
        if device.type not in ("cpu", "cuda"):
            raise ConfigError(f"optimiser.moments: 8-bit moments are not available on {device.type}; leave it out")


def release(
    model: LanguageModel, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Free gradients and moments, keeping the model."""
    model.add_up_vocabulary_gradients(at_once=False)
    optimiser.state.clear()
    for parameter in parameters.values():
        parameter.grad = None
    give_back_freed_memory()

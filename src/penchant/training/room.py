"""Whether there is memory for a run: what cannot fit is refused before anything is loaded, the rest is said in a line.

Refused is only what weights, gradients and moments alone make impossible, in all memory and swap that there is.
"""

from __future__ import annotations

import math
import os

import torch

from penchant import ranks
from penchant.errors import ConfigError, UserError
from penchant.models.config_check import read_shapes
from penchant.models.devices import memory_of_machine, this_machine
from penchant.models.language_model import LanguageModel
from penchant.models.load import base_of, resolve
from penchant.models.reward_model import RewardModel
from penchant.progress import Reporter
from penchant.training.config import ParallelConfig, RewardConfig, RunConfig
from penchant.training.plan import Counts
from penchant.training.planning import MOMENT_BYTES, blueprint_of, plan_of_loaded
from penchant.training.shareable import settled_mode
from penchant.wording import bytes_in_words

__all__ = ["require_room", "say_room", "with_mode"]

WORTH_SAYING = 0.02
"""Share of the memory below which weights, gradients and moments are not worth a second of planning."""


def require_room(config: RunConfig, reporter: Reporter) -> None:
    """Raise ConfigError where weights, gradients and moments alone are more than the machine has; CPU only."""
    room = memory_of_machine()
    if config.model.device not in ("auto", "cpu") or room == float("inf"):
        return
    base = base_of(resolve(config.model.name, reporter.say), reporter.say)
    if 16.0 * sum(map(math.prod, read_shapes(base).values())) <= room:
        return  # as far as the files' headers say; only what seems too large is counted
    total, trained = blueprint_of(config.model, reporter, reward=False, gpu=False).parameters()
    if (needed := 4.0 * total + (4.0 + MOMENT_BYTES[config.optimiser.moments]) * trained) > room:
        instead = "; train with `lora=True`, or take a smaller model" if trained == total else "; take a smaller model"
        raise ConfigError(
            f"{config.model.name}: {total:,} weights, with gradients and moments of the {trained:,} that are trained, "
            f"take {bytes_in_words(needed)}, and this machine has {bytes_in_words(room)}{instead}"
        )


def with_mode(config: RunConfig, reporter: Reporter, *, loaded: bool) -> RunConfig:
    """The settings with how the ranks hold the model decided, where they leave it open; the same on all.

    loaded: whether the model is in memory already, so whole in each process.
    """
    if config.parallel.mode != "auto":
        return config

    def decided() -> str:
        if loaded or processes == 1:
            return "replicated"
        gpu = config.model.device in ("auto", "cuda") and torch.cuda.is_available()
        memory = torch.cuda.get_device_properties().total_memory if gpu else memory_of_machine() / here
        reward = isinstance(config, RewardConfig)
        total, trained = blueprint_of(config.model, reporter, reward=reward, gpu=gpu).parameters()
        mode = settled_mode(config, processes, total, trained, memory)
        reporter.say(f"{config.model.name} is {mode} over {processes} processes")
        return mode

    processes = ranks.size()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))  # of several machines, each has its own memory
    return config.model_copy(update={"parallel": ParallelConfig(mode=ranks.first(decided))})


def say_room(
    config: RunConfig, model: LanguageModel, counts: Counts, reporter: Reporter, *, needs_reference: bool
) -> None:
    """The plan in a line, for a model that is large to the machine; with a warning where it may not fit."""
    parameters = list(model.network.parameters())
    state = sum((4 if p.requires_grad else 1) * p.nbytes for p in parameters)
    if model.numerics.device.type != "cpu" or state < WORTH_SAYING * memory_of_machine():
        return
    is_reward = isinstance(model, RewardModel)
    try:
        plan = plan_of_loaded(
            config, model, counts, this_machine(), ranks.size(), reward=is_reward, needs_reference=needs_reference
        )
    except UserError as error:
        reporter.say(f"not planned: {error}")
        return
    reporter.say(str(plan) + ("" if plan.fits else ", if it is as planned: " + "; ".join(plan.proposals)))

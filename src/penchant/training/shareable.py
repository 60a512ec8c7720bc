"""Refuse runs that several processes cannot share, before anything is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from penchant import ranks
from penchant.errors import ConfigError
from penchant.training.config import RunConfig
from penchant.training.live import reads_kl

__all__ = ["require_prompts", "require_shareable", "settled_mode", "why_not_sharded"]

SHARE_OF_STATE = 0.7
"""The share of a process's memory for weights, gradients and moments above which auto shards them."""


def require_shareable(config: RunConfig, processes: int) -> None:
    """Raise ConfigError for settings that this many processes cannot share."""
    if config.parallel.mode == "sharded" and (words := why_not_sharded(config, processes)):
        raise ConfigError(f"parallel.mode: {words}")
    if config.parallel.offload and config.parallel.mode != "sharded":
        raise ConfigError(
            f"parallel.offload: only a sharded model can be offloaded, but parallel.mode is {config.parallel.mode}; "
            "set parallel.mode=sharded, or leave parallel.offload out"
        )
    if processes > config.optimiser.batch_size:
        raise ConfigError(
            f"optimiser.batch_size: {processes} processes cannot share a batch of {config.optimiser.batch_size}; "
            "start fewer processes, or raise it"
        )


def settled_mode(config: RunConfig, processes: int, total: int, trained: int, memory: float) -> str:
    """The ranks' mode: as set or, for auto, sharded if necessary and possible.

    total, trained: parameters. memory: bytes per process; a part is reserved for activations and libraries.
    """
    if config.parallel.mode != "auto":
        return config.parallel.mode
    fits = 4.0 * total + 12.0 * trained <= SHARE_OF_STATE * memory
    return "replicated" if fits or why_not_sharded(config, processes) else "sharded"


def why_not_sharded(config: RunConfig, processes: int) -> str:
    """Why this run cannot be sharded, and what to do; "" if it can."""
    moving = getattr(getattr(config, "dpo", None), "moving_reference", None)
    reasons = (
        (
            processes == 1,
            "there is one process, which cannot share a model with others; start several, or leave parallel.mode out",
        ),
        (config.output is None, "sharded weights are written to a folder, but none is named; give `output=...`"),
        (
            config.model.quantisation is not None,
            "weights in 4 bits cannot be sharded; leave out model.quantisation or parallel.mode",
        ),
        (
            config.optimiser.moments != "float32",
            "moments in 8 bits cannot be sharded; leave out optimiser.moments or parallel.mode",
        ),
        (
            hasattr(config, "reward") and config.model.lora is not None,
            "the head of a reward model with an adapter cannot be sharded; leave out model.lora or parallel.mode",
        ),
        (
            hasattr(config, "rlhf") or getattr(config, "sampling", None) is not None,
            "a model that writes responses during training cannot be sharded; leave parallel.mode out",
        ),
        (
            getattr(getattr(config, "dpo", None), "band", None) is not None,
            "dpo.band runs several backward passes for a pair, which cannot be sharded; leave out dpo.band or "
            "parallel.mode",
        ),
        (
            config.optimiser.router_loss > 0,
            "optimiser.router_loss reads states inside the model, which cannot be sharded; leave out "
            "optimiser.router_loss or parallel.mode",
        ),
        (
            not config.model.share_prefixes,
            "sharding needs shared prefixes; leave out model.share_prefixes or parallel.mode",
        ),
        (
            reads_kl(config),
            "the reference runs beside the policy in every step, which cannot be sharded; leave parallel.mode out, or "
            "choose an objective that does not read the sequential KL",
        ),
        (moving is not None, "a moving reference cannot be sharded; leave out dpo.moving_reference or parallel.mode"),
        (
            config.alarms.kl_over_budget is not None,
            "alarms.kl_over_budget keeps a second model, which cannot be sharded; leave out alarms.kl_over_budget or "
            "parallel.mode",
        ),
        (
            config.model.reference is not None,
            "model.reference names a second model, which cannot be sharded; leave out model.reference or parallel.mode",
        ),
    )
    return next((words for holds, words in reasons if holds), "")


def require_prompts(groups: NDArray[np.int64]) -> None:
    """Raise ConfigError if there are fewer distinct prompts, numbered per item, than processes."""
    if ranks.size() > (num := int(groups.max(initial=-1)) + 1):
        raise ConfigError(
            f"{ranks.size()} processes cannot share {num} prompt{'s' * (num != 1)}, as each process needs one of its "
            "own; start fewer processes, or give more data"
        )

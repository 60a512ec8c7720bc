"""Estimate the memory of a run's process, part by part, from the model's blueprint, before it is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping

from penchant.models.blueprint import Blueprint
from penchant.models.devices import Device, held_bytes
from penchant.models.logprobs import CHUNK_BYTES
from penchant.training.config import DPOConfig, RunConfig
from penchant.training.live import reads_kl
from penchant.training.size_of_run import Counts

__all__ = ["footprint", "offloaded", "on_this_machine", "state_of"]

CONTEXT_BYTES = 0.6e9
"""The assumed memory of a GPU's context and libraries."""
MOMENT_BYTES = {"float32": 8.0, "8bit": 2 + 2 * 4 / 256}
"""Bytes of AdamW's two moments per parameter; 8-bit moments have a float32 scale per 256 values."""


def state_of(config: RunConfig, blueprint: Blueprint, device: Device, mode: str, processes: int) -> dict[str, float]:
    """Bytes per process that do not depend on the data, by part.

    mode: "replicated" or "sharded"; an adapter of a sharded model, with its state, is replicated. Offloaded shards are
    not included.
    """
    total, trained = blueprint.parameters()
    saved, dequantised = blueprint.quantised()
    held = {
        "libraries": held_bytes() if device.waits else CONTEXT_BYTES,
        "weights": (4.0 * total - saved) * (1 + _keeps_another(config, blueprint)),
        "gradients": 4.0 * trained,
        "moments": MOMENT_BYTES[config.optimiser.moments] * trained,
        "a dequantised layer": dequantised,
        "reading": saved if device.waits else 0.0,  # loaded through this machine's memory to another device
    }
    if mode == "replicated":
        return held
    slices = _slices(held, blueprint, processes)
    held |= dict.fromkeys(slices, 0.0) if _offloads(config, device) else slices
    return {**held, "gathered weights": blueprint.gathered()}


def offloaded(config: RunConfig, blueprint: Blueprint, device: Device, mode: str, processes: int) -> float:
    """Bytes of shards that each process keeps in the machine's memory instead of its device's; 0 without offloading."""
    if mode == "replicated" or not _offloads(config, device):
        return 0.0
    on_device = config.model_copy(update={"parallel": config.parallel.model_copy(update={"offload": False})})
    whole = state_of(on_device, blueprint, device, "replicated", processes)
    return sum(_slices(whole, blueprint, processes).values())


def on_this_machine(processes: int) -> int:
    """The number of processes on this machine; several machines do not share memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", processes))


def footprint(
    config: RunConfig, blueprint: Blueprint, state: Mapping[str, float], counts: Counts, passing: float
) -> dict[str, float]:
    """The total including data-dependent parts. passing: the most bytes of a micro-batch besides the state."""
    text, samples = blueprint.text_config, config.save.num_samples
    scored = sum(int(sequence.scored.sum()) for sequence in counts.largest)
    logits = 0 if blueprint.is_reward else min(CHUNK_BYTES, 4.0 * scored * text.vocab_size)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    longest = max(map(len, counts.largest)) + config.save.sample_tokens
    return {
        **state,
        "activations": passing - logits,
        "logits": logits * (1 + 2 * reads_kl(config)),  # also the reference's logits and probabilities
        "cache": 4.0 * 2 * samples * longest * blueprint.depth * heads * width,
    }


def _keeps_another(config: RunConfig, blueprint: Blueprint) -> bool:
    """Whether a second model is in memory besides the trained one."""
    if isinstance(config, DPOConfig) and config.dpo.moving_reference is not None:
        return True
    another = reads_kl(config) and (not blueprint.rank or config.model.reference is not None)
    return another or config.alarms.kl_over_budget is not None


def _slices(held: Mapping[str, float], blueprint: Blueprint, processes: int) -> dict[str, float]:
    """Bytes of the sharded parts that each process holds."""
    cut = ("weights",) if blueprint.rank else ("weights", "gradients", "moments")
    return {part: held[part] / processes for part in cut}


def _offloads(config: RunConfig, device: Device) -> bool:
    """Whether shards are kept off the device; a CPU's memory is the machine's, so nothing changes there."""
    return config.parallel.offload and not device.waits

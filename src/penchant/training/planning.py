"""A run planned before it runs, from the model's config and the data alone: memory, tokens, time, and what would fit.

Memory is counted by running the largest micro-batch on tensors without numbers (`penchant.models.tracing`); weights
are never read. Whether prefixes are shared exactly, and how much of a device's rates is reached, only a run can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from penchant.feedback.snapshots import resolve_projects
from penchant.models.blueprint import Blueprint, read_config
from penchant.models.config_types import AdapterTypes, require_types
from penchant.models.devices import Device, device_called, held_bytes
from penchant.models.encoder import load_text_side
from penchant.models.language_model import LanguageModel
from penchant.models.load import base_of, read_chat_template, resolve
from penchant.models.logprobs import CHUNK_BYTES
from penchant.models.network import is_reward_folder, read_json
from penchant.models.numerics import choose_numerics, computing
from penchant.models.quantised import is_quantised, says_quantised
from penchant.models.sharded import own_slice
from penchant.models.tracing import Work
from penchant.progress import Reporter
from penchant.tokens import Forest, TokenSequence
from penchant.training.config import DPOConfig, ModelConfig, RewardConfig, RunConfig, SFTConfig
from penchant.training.given import Given
from penchant.training.live import reads_kl
from penchant.training.objective import choose_recipe
from penchant.training.plan import Counts, plan_of
from penchant.training.shareable import require_shareable, settled_mode, why_not_sharded
from penchant.wording import bytes_in_words

__all__ = ["SCHEMAS", "Plan", "blueprint_of", "plan_of_loaded", "plan_run"]

SCHEMAS: Mapping[str, type[RunConfig]] = {"dpo": DPOConfig, "sft": SFTConfig, "reward": RewardConfig}
"""What can be planned, by the command that trains it."""
STEP_BYTES = 40
"""Moved by an optimiser step for each trained parameter: zeroing, norm, and AdamW's reads and writes in fp32."""
CONTEXT_BYTES = 0.6e9
"""What a GPU's context and libraries are assumed to take."""
MOMENT_BYTES = {"float32": 8.0, "8bit": 2 + 2 * 4 / 256}
"""Of AdamW's two moments of a parameter; those of 8 bits have a float32 scale for 256 of each."""


@dataclass(frozen=True)
class Plan:
    """memory: bytes by part, of each process. seconds: by what is done. proposals: what would make it fit.

    mode: "replicated" where each process holds the whole model, "sharded" where it holds a slice.
    """

    counts: Counts
    device: Device
    processes: int
    num_parameters: int
    num_trained: int
    memory: Mapping[str, float]
    seconds: Mapping[str, float]
    proposals: tuple[str, ...] = ()
    mode: str = "replicated"

    @property
    def peak(self) -> float:
        """Bytes held at once by each process: no activations while samples are written, or weights quantised."""
        passing = {"activations", "logits", "cache", "reading"}
        held = sum(size for part, size in self.memory.items() if part not in passing)
        training = self.memory["activations"] + self.memory["logits"]
        return held + max(training, self.memory["cache"], self.memory["reading"])

    @property
    def fits(self) -> bool:
        """Whether the device has so much: one process to each, or all of them on this machine."""
        return self.peak * (self.processes if self.device.waits else 1) <= self.device.memory

    @property
    def total_seconds(self) -> float:
        """Of everything but loading and writing the model."""
        return sum(self.seconds.values())

    @property
    def watt_hours(self) -> float | None:
        """Of all devices at their full power; None where nobody says what that is."""
        watts = self.device.watts
        return None if watts is None else watts * self.processes * self.total_seconds / 3600

    def in_words(self) -> list[str]:
        """The same as lines: parts of the memory and of the time, what it comes to, and what would make it fit."""
        energy = "" if self.watt_hours is None else f", {self.watt_hours:,.3g} Wh at full power"
        return [
            str(self.counts),
            f"{self.num_parameters:,} parameters, {self.num_trained:,} of them trained",
            *(f"{size / 1e9:>10.3f} GB  {part}" for part, size in self.memory.items() if size),
            *(f"{taken:>10.1f} s   {part}" for part, taken in self.seconds.items() if taken),
            f"{self.device.name} ({self.device.source}): {self}{energy}",
            *(f"  {proposal}" for proposal in self.proposals),
        ]

    def __str__(self) -> str:
        """The plan in one line."""
        room = (
            f"of {bytes_in_words(self.device.memory)}" if self.device.memory < float("inf") else "(how much is there?)"
        )
        each = f" on each of {self.processes}" * (self.processes > 1) + ", in slices" * (self.mode == "sharded")
        verdict = "" if self.fits else "; it does not fit"
        return f"needs about {bytes_in_words(self.peak)} {room}{each}, {_duration(self.total_seconds)}{verdict}"

    def as_dict(self) -> dict[str, Any]:
        """Everything but the sequences, as JSON holds it."""
        return {
            "items": self.counts.items,
            "num_train": self.counts.num_train,
            "num_held_out": self.counts.num_held_out,
            "num_steps": self.counts.num_steps,
            "tokens_an_epoch": self.counts.written,
            "tokens_run_an_epoch": self.counts.run,
            "num_parameters": self.num_parameters,
            "num_trained": self.num_trained,
            "device": self.device.name,
            "rates_are": self.device.source,
            "processes": self.processes,
            "parallel": self.mode,
            "memory_bytes": {part: round(size) for part, size in self.memory.items()},
            "peak_bytes": round(self.peak),
            "device_bytes": round(self.device.memory) if self.device.memory < float("inf") else None,
            "fits": self.fits,
            "seconds": {part: round(taken, 2) for part, taken in self.seconds.items()},
            "watt_hours": self.watt_hours,
            "proposals": list(self.proposals),
        }


def plan_run(
    config: RunConfig,
    reporter: Reporter,
    given: Given | None = None,
    *,
    device: str | None = None,
    processes: int = 1,
    watts: float | None = None,
) -> Plan:
    """What the run would take; nothing is trained, and no weights are read. Raises UserError.

    device: see `device_called`. processes: one to a device. watts: what a device draws, where it is known.
    """
    given = given or Given()
    config = config.model_copy(update={"output": config.output or "run"})  # which it would have, and slices need
    require_shareable(config, processes)
    recipe = choose_recipe(config, given.objective)
    with computing():
        choose_numerics("cpu")  # its product is what is measured
        on = device_called(device)
        on = on if watts is None else replace(on, watts=watts)
        blueprint = blueprint_of(config.model, reporter, reward=isinstance(config, RewardConfig), gpu=not on.waits)
        side = load_text_side(
            config.model.name,
            chat_template=read_chat_template(config.model.chat_template),
            special_tokens=config.data.special_tokens,
            say=reporter.say,
        )
        side.encoder.whole_turns = blueprint.is_reward
        model = blueprint.beside(side.encoder)
        files = resolve_projects(config.data.files, recipe.answers_as, labels=None, begun_with=(), say=reporter.say)
        data = config.data.read_options(config.seed).sources(files if given.data is None else given.data)
        found = recipe.dataset(config.model_copy(update={"output": None}), data, model, reporter)
        counts = plan_of(config, found, recipe.group_of, share=model.shares)
        plan = _plan(config, blueprint, counts, on, processes, needs_reference=recipe.needs_reference)
    return plan


def plan_of_loaded(
    config: RunConfig,
    model: LanguageModel,
    counts: Counts,
    device: Device,
    processes: int,
    *,
    reward: bool,
    needs_reference: bool,
) -> Plan:
    """The plan of a run whose model lies in memory already, in so many processes."""
    blueprint = Blueprint(
        model.causal_lm.config,
        model.numerics.compute_dtype,
        next((one.r for one in model.network.peft_config.values()), 0) if model.is_adapter else 0,
        config.model.lora.targets if config.model.lora else (),
        reward,
        config.model.gradient_checkpointing,
        model.shares,
        is_quantised(model.network),
    )
    plan = _plan(config, blueprint, counts, device, processes, needs_reference=needs_reference)
    there = sum(float(own_slice(parameter).nbytes) for parameter in model.network.parameters())
    libraries = max(0.0, plan.memory["libraries"] - there)
    return replace(plan, memory={**plan.memory, "libraries": libraries})


def blueprint_of(model: ModelConfig, reporter: Reporter, *, reward: bool, gpu: bool) -> Blueprint:
    """The model that the settings name, as it would be trained. Raises ModelError."""
    path = resolve(model.name, reporter.say)
    base = base_of(path, reporter.say)
    rank, targets = (model.lora.rank, model.lora.targets) if model.lora else (0, ())
    if base != path:
        adapter = read_json(path / "adapter_config.json")
        require_types(path / "adapter_config.json", adapter, AdapterTypes)
        rank = adapter.get("r", 8)
    wide = model.dtype == "float32" or (model.dtype == "auto" and not gpu)
    return Blueprint(
        read_config(base),
        torch.float32 if wide else torch.bfloat16,
        rank,
        targets,
        reward or is_reward_folder(path),
        model.gradient_checkpointing,
        model.share_prefixes,
        model.quantisation is not None or says_quantised(path),
    )


def _plan(
    config: RunConfig, blueprint: Blueprint, counts: Counts, device: Device, processes: int, *, needs_reference: bool
) -> Plan:
    total, trained = blueprint.parameters()
    balance = device.products / device.moves
    training = blueprint.work(counts.largest, balance)
    scoring = blueprint.work(counts.largest, balance, trains=False)
    mode = settled_mode(config, processes, total, trained, device.memory / (processes if device.waits else 1))
    memory = _memory(config, blueprint, counts, device, total, trained, training.peak)
    if mode == "sharded":
        memory = _in_slices(memory, blueprint, processes)
    seconds = _seconds(config, blueprint, counts, device, trained, training, scoring, needs_reference)
    if not device.waits:  # of one machine, the processes share its cores
        seconds = {part: taken / processes for part, taken in seconds.items()}
    plan = Plan(counts, device, processes, total, trained, memory, seconds, mode=mode)
    return plan if plan.fits else replace(plan, proposals=tuple(_proposals(config, plan)))


def _memory(
    config: RunConfig, blueprint: Blueprint, counts: Counts, device: Device, total: int, trained: int, passing: float
) -> dict[str, float]:
    text, samples = blueprint.text_config, config.save.num_samples
    scored = sum(int(sequence.scored.sum()) for sequence in counts.largest)
    logits = 0 if blueprint.is_reward else min(CHUNK_BYTES, 4.0 * scored * text.vocab_size)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    longest = max(map(len, counts.largest)) + config.save.sample_tokens
    keeps_another = isinstance(config, DPOConfig) and config.dpo.moving_reference is not None
    keeps_another = keeps_another or config.alarms.kl_over_budget is not None
    if beside := reads_kl(config):
        keeps_another = keeps_another or not blueprint.rank or config.model.reference is not None
    saved, dequantised = blueprint.quantised()
    return {
        "libraries": held_bytes() if device.waits else CONTEXT_BYTES,
        "weights": (4.0 * total - saved) * (1 + keeps_another),
        "gradients": 4.0 * trained,
        "moments": MOMENT_BYTES[config.optimiser.moments] * trained,
        "a dequantised layer": dequantised,
        "activations": passing - logits,
        "logits": logits * (1 + 2 * beside),  # those of the reference too, and its probabilities
        "reading": saved if device.waits else 0.0,  # on its way to another device it lies in this machine's memory
        "cache": 4.0 * 2 * samples * longest * blueprint.depth * heads * width,
    }


def _in_slices(memory: Mapping[str, float], blueprint: Blueprint, processes: int) -> dict[str, float]:
    """The same where each process holds a slice; an adapter, and what belongs to it, is whole in each."""
    cut = {"weights"} if blueprint.rank else {"weights", "gradients", "moments"}
    held = {part: size / processes if part in cut else size for part, size in memory.items()}
    return {**held, "gathered weights": blueprint.gathered()}


def _seconds(
    config: RunConfig,
    blueprint: Blueprint,
    counts: Counts,
    device: Device,
    trained: int,
    training: Work,
    scoring: Work,
    needs_reference: bool,
) -> dict[str, float]:
    """A micro-batch of fewer tokens than the largest makes as many calls, and does its share of the rest."""
    whole = counts.run / counts.micro_batches / _tokens_of(counts)
    epochs = counts.num_steps / counts.steps_per_epoch

    def of(work: Work, micro_batches: float) -> float:
        return micro_batches * device.seconds(work.products * whole, work.moved * whole, work.calls)

    held_out = counts.num_held_out / counts.num_train
    every = config.save.eval_every or counts.steps_per_epoch
    evaluations = -(-counts.num_steps // every)
    of_all = counts.micro_batches * (1 + held_out)
    word = 0.0
    if config.save.num_samples:
        one = TokenSequence.of([0], [0] * config.save.num_samples)
        written = blueprint.work([one], device.products / device.moves, trains=False)
        word = device.seconds(written.products, written.moved, written.calls)
    return {
        "reference": of(scoring, of_all) if needs_reference else 0.0,
        "training": epochs * of(training, counts.micro_batches)
        + epochs * of(scoring, counts.micro_batches) * reads_kl(config)
        + counts.num_steps * device.seconds(0.0, STEP_BYTES * trained, 0.0),
        "evaluation": evaluations * of(scoring, held_out * counts.micro_batches),
        "samples": (evaluations + 1) * config.save.sample_tokens * word,
    }


def _tokens_of(counts: Counts) -> int:
    return Forest.plant(list(counts.largest), share=counts.run < counts.written).num_tokens


def _proposals(config: RunConfig, plan: Plan) -> Iterator[str]:
    """What would take less, with what it would save."""
    gradients, moments, activations = (plan.memory[part] for part in ("gradients", "moments", "activations"))
    if config.model.lora is None and plan.num_trained == plan.num_parameters:
        yield f"model.lora={{}}: hardly any of the {bytes_in_words(gradients + moments)} of gradients and moments"
    if plan.mode == "replicated" and config.model.lora is not None and config.model.quantisation is None:
        yield f"model.quantisation=nf4: about an eighth of the {bytes_in_words(plan.memory['weights'])} of weights"
    if plan.mode == "replicated" and config.optimiser.moments == "float32":
        yield f"optimiser.moments=8bit: about a quarter of the {bytes_in_words(moments)} of moments"
    if plan.processes > 1 and plan.mode == "replicated" and not why_not_sharded(config, plan.processes):
        state = sum(plan.memory[part] for part in ("weights", "gradients", "moments"))
        yield f"parallel.mode=sharded: a slice of the {bytes_in_words(state)} of weights, gradients and moments in each"
    if not config.model.gradient_checkpointing:
        yield f"model.gradient_checkpointing=true: less than {bytes_in_words(activations)} of activations, more time"
    if config.optimiser.token_budget > 1:
        yield f"optimiser.token_budget={config.optimiser.token_budget // 2}: activations of fewer tokens at once"
    if config.data.max_length > 8:
        yield f"data.max_length={config.data.max_length // 2}: a response longer than that is cut"
    yield "a smaller model, or a device with more memory"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"

"""Plan a run from the model's config and the data alone: memory, tokens, time, and what would make it fit.

Memory is counted by running the largest micro-batch on tensors without numbers (`penchant.models.tracing`); weights
are never read. The exact prefix sharing and the achieved speed are known only from a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import torch

from penchant.data.given import Source
from penchant.errors import UserError
from penchant.feedback.snapshots import resolve_projects
from penchant.models.blueprint import Blueprint, read_config
from penchant.models.config_types import AdapterTypes, require_types
from penchant.models.devices import DEVICES, Device, device_called, memory_without_swap
from penchant.models.encoder import load_text_side, read_chat_template
from penchant.models.language_model import LanguageModel
from penchant.models.names import base_of, resolve
from penchant.models.network import is_reward_folder, read_json
from penchant.models.numerics import choose_numerics, computing
from penchant.models.quantised import is_quantised, says_quantised
from penchant.models.sharded import own_slice
from penchant.models.tracing import Work
from penchant.progress import Reporter
from penchant.tokens import Forest, TokenSequence
from penchant.training.config import DPOConfig, ModelConfig, RewardConfig, RunConfig, SFTConfig
from penchant.training.cost_of_run import Plan
from penchant.training.footprint import footprint, offloaded, on_this_machine, state_of
from penchant.training.given import Given
from penchant.training.levers import proposals
from penchant.training.live import reads_kl
from penchant.training.objective import Recipe, choose_recipe
from penchant.training.shareable import require_shareable, settled_mode
from penchant.training.size_of_run import Counts, plan_of

__all__ = ["SCHEMAS", "blueprint_of", "plan_of_loaded", "plan_of_recipe", "plan_run"]

SCHEMAS: Mapping[str, type[RunConfig]] = {"dpo": DPOConfig, "sft": SFTConfig, "reward": RewardConfig}
"""The configurations that can be planned, by training command."""
STEP_BYTES = 40
"""Bytes moved by an optimiser step per trained parameter: zeroing, norm, and AdamW's reads and writes in fp32."""


def plan_run(
    config: RunConfig,
    reporter: Reporter,
    given: Given | None = None,
    *,
    device: str | None = None,
    processes: int = 1,
    watts: float | None = None,
) -> Plan:
    """Estimate a run's cost; nothing is trained, and no weights are read. Raises UserError.

    device: see `device_called`. processes: one per device. watts: the power draw of a device, if known.
    """
    given = given or Given()
    require_shareable(config.model_copy(update={"output": config.output or "run"}), processes)
    recipe = choose_recipe(config, given.objective)
    with computing():
        choose_numerics("cpu")  # its matrix product is measured
        on = device_called(device)
        on = on if watts is None else replace(on, watts=watts)
        files = resolve_projects(config.data.files, recipe.answers_as, labels=None, begun_with=(), say=reporter.say)
        data = config.data.read_options(config.seed).sources(files if given.data is None else given.data)
        in_memory = config.model_copy(update={"output": None})
        beside = processes if on.waits else 1
        return plan_of_recipe(in_memory, recipe, data, on, reporter, processes=processes, beside=beside)


def plan_of_recipe(
    config: RunConfig,
    recipe: Recipe,
    data: Sequence[Source],
    device: Device,
    reporter: Reporter,
    *,
    processes: int,
    beside: int,
    clock: datetime | None = None,
) -> Plan:
    """The plan of a run that trains this recipe on these data, whose tokens are cached if the run has a folder.

    beside: the number of processes that share the device's memory. clock: the time given to the chat template.
    """
    blueprint = blueprint_of(config.model, reporter, reward=isinstance(config, RewardConfig), gpu=not device.waits)
    side = load_text_side(
        config.model.name,
        chat_template=read_chat_template(config.model.chat_template),
        special_tokens=config.data.special_tokens,
        clock=clock,
        say=reporter.say,
    )
    side.encoder.whole_turns = blueprint.is_reward
    model = blueprint.beside(side.encoder)
    found = recipe.dataset(config, data, model, reporter)

    def count(config: RunConfig) -> Counts:
        return plan_of(config, found, recipe.group_of, share=model.shares)

    config = config.model_copy(update={"output": config.output or "run"})  # sharding needs an output
    return _Planner(blueprint, count, device, processes, beside, recipe.needs_reference).plan(config)


def plan_of_loaded(
    config: RunConfig,
    model: LanguageModel,
    count: Callable[[RunConfig], Counts],
    device: Device,
    *,
    processes: int,
    beside: int,
    reward: bool,
    needs_reference: bool,
) -> Plan:
    """The plan of a run whose model is already in memory, in this many processes."""
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
    there = sum(float(own_slice(parameter).nbytes) for parameter in model.network.parameters()) * device.waits
    return _Planner(blueprint, count, device, processes, beside, needs_reference, there).plan(config)


def blueprint_of(model: ModelConfig, reporter: Reporter, *, reward: bool, gpu: bool) -> Blueprint:
    """The blueprint of the model in the settings, as it would be trained. Raises ModelError."""
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


@dataclass(frozen=True)
class _Planner:
    """The state shared by all plans of one run under several settings.

    count: counts the work under given settings. beside: see `Plan`. there: bytes of weights in the process now.
    """

    base: Blueprint
    count: Callable[[RunConfig], Counts]
    device: Device
    processes: int
    beside: int
    needs_reference: bool
    there: float = 0.0
    works: dict[Any, Work] = field(default_factory=dict)
    blueprints: dict[Any, Blueprint] = field(default_factory=dict)

    def plan(self, config: RunConfig) -> Plan:
        """Memory and time, and proposals if it does not fit."""
        blueprint, plan = self._blueprint(config.model), self._memory(config)
        if self.device.has_rates and not plan.offloaded:  # the speed of offloading is unknown
            trained = plan.num_trained
            training, scoring = (self._work(blueprint, plan.counts, trains=one) for one in (True, False))
            seconds = _seconds(
                config, blueprint, plan.counts, self.device, trained, training, scoring, self.needs_reference
            )
            if not self.device.waits:  # processes of one machine share its cores
                seconds = {part: taken / self.processes for part, taken in seconds.items()}
            plan = replace(plan, seconds=seconds)
        return plan if plan.fits else replace(plan, proposals=tuple(proposals(config, plan, self._replanned)))

    def _replanned(self, config: RunConfig) -> Plan | None:
        """The memory under other settings; None if they are impossible, or the state alone does not fit."""
        try:
            _, state = self._state(config, self._blueprint(config.model))
            is_too_much = sum(state.values()) * self.beside > self.device.memory
            plan = None if is_too_much else self._memory(config)
            return None if plan is not None and self._lacks_memory_aside(plan) else plan
        except UserError:  # such as an adapter without target modules in this architecture
            return None

    def _lacks_memory_aside(self, plan: Plan) -> bool:
        """Whether this machine's memory cannot hold what its own device leaves to it; of others it is not known."""
        is_named = self.device in DEVICES.values()
        return not is_named and plan.offloaded * on_this_machine(self.processes) > memory_without_swap()

    def _state(self, config: RunConfig, blueprint: Blueprint) -> tuple[str, dict[str, float]]:
        total, trained = blueprint.parameters()
        mode = settled_mode(config, self.processes, total, trained, self.device.memory / self.beside)
        state = state_of(config, blueprint, self.device, mode, self.processes)
        return mode, {**state, "libraries": max(0.0, state["libraries"] - self.there)}

    def _memory(self, config: RunConfig) -> Plan:
        blueprint, counts = self._blueprint(config.model), self.count(config)
        total, trained = blueprint.parameters()
        mode, state = self._state(config, blueprint)
        memory = footprint(config, blueprint, state, counts, self._work(blueprint, counts, trains=True).peak)
        return Plan(
            counts,
            self.device,
            self.processes,
            total,
            trained,
            memory,
            {},
            mode=mode,
            beside=self.beside,
            offloaded=offloaded(config, blueprint, self.device, mode, self.processes),
        )

    def _blueprint(self, model: ModelConfig) -> Blueprint:
        """The model with the settings' changes to its own config; built once."""
        rank, targets = (model.lora.rank, model.lora.targets) if model.lora else (self.base.rank, self.base.targets)
        again, quantised = model.gradient_checkpointing, self.base.is_quantised or model.quantisation is not None
        changed = replace(self.base, rank=rank, targets=targets, computes_again=again, is_quantised=quantised)
        return self.blueprints.setdefault((rank, again, quantised), changed)

    def _work(self, blueprint: Blueprint, counts: Counts, *, trains: bool) -> Work:
        """The work of a largest micro-batch; moments and sharding do not change it."""
        key = blueprint.rank, blueprint.computes_again, tuple(sequence.key for sequence in counts.largest), trains
        if key not in self.works:
            balance = self.device.products / self.device.moves
            self.works[key] = blueprint.work(counts.largest, balance, trains=trains)
        return self.works[key]


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
    """A micro-batch smaller than the largest makes as many calls, and a proportional share of the rest."""
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

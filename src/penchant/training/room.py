"""Check whether there is memory for a run before its model is loaded, report it in a line, and refuse the impossible.

A run is refused only if weights, gradients and moments alone exceed the device's total memory: a GPU's own, or the
machine's including swap. Whether the rest fits is the plan's estimate, which may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from penchant import ranks
from penchant.data.given import Source
from penchant.errors import ConfigError, UserError
from penchant.models.config_check import read_shapes
from penchant.models.devices import Device, device_of_run, memory_without_swap
from penchant.models.language_model import LanguageModel
from penchant.models.names import base_of, resolve
from penchant.models.numerics import choose_numerics
from penchant.models.reward_model import RewardModel
from penchant.progress import Reporter, Silent
from penchant.training.config import RewardConfig, RunConfig
from penchant.training.cost_of_run import Plan
from penchant.training.footprint import offloaded, on_this_machine, state_of
from penchant.training.objective import Recipe
from penchant.training.planning import SCHEMAS, blueprint_of, plan_of_loaded, plan_of_recipe
from penchant.training.shareable import settled_mode
from penchant.training.size_of_run import Counts
from penchant.wording import bytes_in_words

__all__ = ["foresee", "say_work", "with_mode"]

WORTH_SAYING = 0.02
"""The share of memory below which weights, gradients and moments need no planning."""
MOST_PROPOSALS = 3
"""The number of proposals named in a sentence, least costly first; a plan lists all."""


def foresee(config: RunConfig, recipe: Recipe, data: Sequence[Source], clock: datetime, reporter: Reporter) -> None:
    """Report the plan of a run in a line before its model is loaded, if the run is large for its device.

    The first rank plans for its own device. Planning errors are ignored: loading will report them.

    Raises ConfigError for a run that cannot fit, with proposals.
    """
    processes = ranks.size()
    if line := ranks.first(lambda: _foreseen(config, recipe, data, clock, processes, reporter)):
        reporter.say(line)


def with_mode(config: RunConfig, reporter: Reporter, *, loaded: bool) -> RunConfig:
    """The settings with the ranks' mode decided if it is left open; the same on all ranks.

    loaded: whether the model is already in memory, so replicated in each process.
    """
    if config.parallel.mode != "auto":
        return config

    def decided() -> str:
        if loaded or processes == 1:
            return "replicated"
        device = device_of_run(config.model.device)
        reward = isinstance(config, RewardConfig)
        blueprint = blueprint_of(config.model, reporter, reward=reward, gpu=not device.waits)
        mode = settled_mode(config, processes, *blueprint.parameters(), device.memory / _beside(device, processes))
        reporter.say(f"{config.model.name} is {mode} over {processes} processes")
        return mode

    processes = ranks.size()
    parallel = config.parallel.model_copy(update={"mode": ranks.first(decided)})
    return config.model_copy(update={"parallel": parallel})


def say_work(
    config: RunConfig,
    model: LanguageModel,
    count: Callable[[RunConfig], Counts],
    reporter: Reporter,
    *,
    needs_reference: bool,
    foreseen: bool,
) -> None:
    """Report the work of a run, from `count`; for a model already in memory also the line of `foresee`."""
    reporter.say(str(count(config)))
    if foreseen:
        return
    parameters = list(model.network.parameters())
    state = sum((4 if p.requires_grad else 1) * p.nbytes for p in parameters)
    device = device_of_run(model.numerics.device.type)
    if not (_is_planned(config) and ranks.is_first() and state >= WORTH_SAYING * device.memory):
        return
    with suppress(UserError):
        plan = plan_of_loaded(
            config,
            model,
            count,
            device,
            processes=ranks.size(),
            beside=_beside(device, ranks.size()),
            reward=isinstance(model, RewardModel),
            needs_reference=needs_reference,
        )
        reporter.say(_in_a_line(plan))


def _foreseen(
    config: RunConfig, recipe: Recipe, data: Sequence[Source], clock: datetime, processes: int, reporter: Reporter
) -> str | None:
    choose_numerics(config.model.device, config.model.dtype)  # rates are known for the matrix product that it chooses
    device = device_of_run(config.model.device)
    beside = _beside(device, processes)
    base = base_of(resolve(config.model.name, reporter.say), reporter.say)
    little = WORTH_SAYING * device.memory / beside
    if math.isinf(device.memory) or 16.0 * sum(map(math.prod, read_shapes(base).values())) < little:
        return None  # according to the files' headers; only large runs are planned
    quiet = _Quiet(reporter)
    try:
        blueprint = blueprint_of(config.model, quiet, reward=isinstance(config, RewardConfig), gpu=not device.waits)
        total, trained = blueprint.parameters()
        mode = settled_mode(config, processes, total, trained, device.memory / beside)
        held = state_of(config, blueprint, device, mode, processes)
        aside = offloaded(config, blueprint, device, mode, processes)
    except UserError:
        return None
    _require_memory_aside(aside, on_this_machine(processes))
    needed = sum(size for part, size in held.items() if part != "libraries")
    if needed < little:
        return None
    plan = None
    if _is_planned(config):
        with suppress(UserError):
            plan = plan_of_recipe(config, recipe, data, device, quiet, processes=processes, beside=beside, clock=clock)
    if needed * beside <= device.memory:
        return None if plan is None else _in_a_line(plan)
    each = f" in each of {processes} processes" * (processes > 1) + ", in slices" * (mode == "sharded")
    instead = plan.proposals[:MOST_PROPOSALS] if plan else ["`lora=True`"] * (trained == total) + ["a smaller model"]
    raise ConfigError(
        f"{config.model.name}: {total:,} weights, with gradients and moments of the {trained:,} that are trained, take "
        f"{bytes_in_words(needed)}{each}, and {device.name} has {bytes_in_words(device.memory)}; try "
        f"{', or '.join(instead)}"
    )


def _require_memory_aside(num_bytes: float, processes: int) -> None:
    """Raise ConfigError if this machine's memory cannot hold the offloaded shards of its processes."""
    if num_bytes * processes > memory_without_swap():
        raise ConfigError(
            f"parallel.offload: the slices of {processes} processes need {bytes_in_words(num_bytes * processes)}, but "
            f"this machine has {bytes_in_words(memory_without_swap())} of memory; try `lora=True`, or more machines"
        )


def _beside(device: Device, processes: int) -> int:
    """The number of processes that share the device's memory."""
    return on_this_machine(processes) if device.waits else 1


def _is_planned(config: RunConfig) -> bool:
    """Whether the run's computation is known in advance, which it is not if it samples responses."""
    return type(config) in SCHEMAS.values() and getattr(config, "sampling", None) is None


def _in_a_line(plan: Plan) -> str:
    tried = ", or ".join(plan.proposals[:MOST_PROPOSALS])
    return str(plan) if plan.fits else f"{plan}, if it is as planned; try {tried}"


class _Quiet(Silent):
    """Shows the progress of reading; messages are suppressed until the run reads the data."""

    def __init__(self, reporter: Reporter) -> None:
        self._shown = reporter

    def progress(self, what: str, done: int, total: int | None, facts: Mapping[str, float]) -> None:
        self._shown.progress(what, done, total, facts)

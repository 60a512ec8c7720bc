"""Propose settings that reduce memory for a run that does not fit, each verified by its own plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from penchant.training.config import DPOConfig, LoraConfig, RunConfig
from penchant.training.cost_of_run import Plan
from penchant.training.shareable import why_not_sharded
from penchant.wording import bytes_in_words

__all__ = ["proposals"]

Lever = Mapping[str, Any]
"""Settings by their dotted names."""
NOTHING_FITS = "a smaller model, or a device with more memory"


def proposals(config: RunConfig, plan: Plan, replan: Callable[[RunConfig], Plan | None]) -> Iterator[str]:
    """Settings under which the run would fit, least costly first, with the memory it would then take.

    Pairs of changes are tried if none is enough alone. replan: returns the plan of a run with other settings; None if
    its weights, gradients and moments alone do not fit.
    """
    levers = list(_levers(config, plan))
    singly = [(lever,) for lever in levers]
    in_pairs = sorted(combinations(range(len(levers)), 2), key=sum)  # the cost of a change is its position
    found = list(_that_fit(config, singly, replan))
    found = found or list(_that_fit(config, [(levers[i], levers[j]) for i, j in in_pairs], replan))
    yield from found or [NOTHING_FITS]


def _levers(config: RunConfig, plan: Plan) -> Iterator[Lever]:
    """The possible changes, by cost: first time, then communication, then the result.

    First come those that do not change the result, then 8-bit moments, then an adapter instead of full fine-tuning, and
    last an adapter on quantised weights.
    """
    for smaller in (2, 4):
        if (budget := config.optimiser.token_budget // smaller) >= 1:
            yield {"optimiser.token_budget": budget}
    if not config.model.gradient_checkpointing:
        yield {"model.gradient_checkpointing": True}
    if plan.mode == "replicated" and plan.processes > 1:
        yield {"parallel.mode": "sharded"}
    if plan.processes > 1 and not plan.device.waits and not config.parallel.offload:
        yield {"parallel.mode": "sharded", "parallel.offload": True}
    if config.optimiser.moments == "float32":
        yield {"optimiser.moments": "8bit"}
    trains_all = config.model.lora is None and plan.num_trained == plan.num_parameters
    if trains_all and not (isinstance(config, DPOConfig) and config.dpo.moving_reference is not None):
        yield {"model.lora": LoraConfig()}
    elif config.model.lora is None:
        return
    if config.model.quantisation is None and config.model.reference is None:
        yield {"model.lora": config.model.lora or LoraConfig(), "model.quantisation": "nf4"}


def _that_fit(
    config: RunConfig, tried: Sequence[tuple[Lever, ...]], replan: Callable[[RunConfig], Plan | None]
) -> Iterator[str]:
    for levers in tried:
        settings = {name: value for lever in levers for name, value in lever.items()}
        if len(settings) < sum(map(len, levers)):
            continue  # both change the same setting
        changed = _with(config, settings)
        if changed.parallel.mode == "sharded" and why_not_sharded(changed, 2):
            continue
        if (plan := replan(changed)) is not None and plan.fits:
            words = " ".join(_in_words(name, value) for name, value in settings.items())
            yield f"{words} would need about {bytes_in_words(plan.peak)}"


def _with(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """The configuration with some settings changed."""
    for dotted, value in settings.items():
        section, name = dotted.split(".")
        config = config.model_copy(update={section: getattr(config, section).model_copy(update={name: value})})
    return config


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, LoraConfig):
        return f"{name}={{rank: {value.rank}}}"
    return f"{name}={str(value).lower() if isinstance(value, bool) else value}"

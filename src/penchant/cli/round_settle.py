"""The plan that a call turns: what it says, and for all else what the round before had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penchant.cli.round_plan import Plan, Round
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.training.config import DPOConfig

__all__ = ["settle", "training_config"]

FIXED = ("model", "chat_template", "seed", "held_out")
"""What all rounds of a folder share: where they started, and which prompts are never trained on."""

WHO = ("judge", "judge_model", "instructions", "epsilon", "judge_reference", "people")
SET_HERE = (
    "output", "seed", "data.files", "model.name", "model.reference", "model.device", "model.dtype",
    "model.chat_template",
)  # fmt: skip
"""Settings of `penchant dpo` that the round itself gives."""


def settle(given: Mapping[str, Any], rounds: Sequence[Round]) -> Plan:
    """The plan of the round to turn: the one under way, or a new one, which takes what is not given from the last.

    given: settings by name, None where the user said nothing. Raises ConfigError for a setting that cannot change now.
    """
    said = {name: value for name, value in given.items() if value is not None}
    said_settings = said.pop("settings", ())
    before = rounds[-1] if rounds else None
    is_under_way = before is not None and not before.is_finished
    for name in said if is_under_way else FIXED:
        if before and name in said and getattr(before.plan, name) != said[name]:
            raise ConfigError(_cannot_change(name, getattr(before.plan, name), before))
    inherited = before.plan.model_dump() if before else {}
    if any(name in said and said[name] != inherited.get(name) for name in ("judge", "people")):
        inherited = {name: value for name, value in inherited.items() if name not in WHO}
    merged = inherited | said | {"settings": _merged(inherited.get("settings", ()), said_settings)}
    for name in ("model", "prompts"):
        if name not in merged:
            raise ConfigError(f"--{name}: the first round needs it; say where to start from, and what to ask")
    if (merged.get("judge") is None) == (merged.get("people") is None):
        raise ConfigError("say who answers: --judge positivity (or another), or --people PROJECT, not both")
    plan = Plan(**merged)
    _check_settings(plan)
    if before and said_settings:
        _refuse_another_training(plan, before)
    return before.plan if before and is_under_way else plan


def training_config(plan: Plan) -> DPOConfig:
    """What `penchant dpo` makes of --set. Raises ConfigError."""
    from penchant.training.config import DPOConfig
    from penchant.training.settings import build_config

    flags = {"data.files": ["votes.jsonl"], "output": "run", "model.name": plan.model}
    return build_config(DPOConfig, settings=plan.settings, flags=flags)


def _merged(before: Sequence[str], said: Sequence[str]) -> tuple[str, ...]:
    """Settings of before whose key is not said again, then those said; a section said anew replaces all its parts."""
    keys = [_key(setting) for setting in said]
    kept = [one for one in before if not any(f"{_key(one)}.".startswith(f"{key}.") for key in keys)]
    return (*kept, *said)


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _check_settings(plan: Plan) -> None:
    """Refuse what training would refuse, before anything is sampled."""
    from penchant.models.sampler import SamplingParams

    SamplingParams(plan.temperature, plan.top_p, plan.top_k, plan.max_new_tokens, plan.seed)
    for key in map(_key, plan.settings):
        if any(name == key or name.startswith(f"{key}.") for name in SET_HERE):
            raise ConfigError(f"--set {key}: a round gives this itself; leave it out")
    training_config(plan)


def _refuse_another_training(plan: Plan, before: Round) -> None:
    """Refuse settings that would change a round under way, or an adapter; repeating them in any form is fine."""
    new, old = training_config(plan), training_config(before.plan)
    if not before.is_finished:
        if new != old:
            raise ConfigError(_cannot_change("settings", before.plan.settings, before))
    elif new.model.lora != old.model.lora and before.made_adapter:
        raise ConfigError(
            f"--set model.lora: round {before.number} made an adapter, which is trained further as it is; leave it "
            "out, or begin with another adapter in another folder"
        )


def _cannot_change(name: str, there: object, before: Round) -> str:
    option = {"settings": "set"}.get(name, name).replace("_", "-")
    if name in ("judge", "people") and there is None:
        shown = f"with --people {before.plan.people}" if name == "judge" else f"with --judge {before.plan.judge}"
    elif there is None or there == ():
        shown = "without it"
    elif name == "settings":
        shown = f"with {', '.join(before.plan.settings)}"
    else:
        shown = "with another text" if name == "instructions" else f"with {there!r}"
    if before.is_finished:
        return f"--{option}: the rounds here began {shown}; leave it out, or choose another folder"
    return (
        f"--{option}: round {before.number} is under way {shown}; leave it out to go on, or remove {before.path} "
        "to begin the round again"
    )

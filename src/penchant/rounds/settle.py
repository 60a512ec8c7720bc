"""Build the plan of the round to run from the call's settings and the previous round's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from penchant.errors import ConfigError
from penchant.rounds.plan import Plan, Round, RoundSettings
from penchant.wording import shown

if TYPE_CHECKING:
    from penchant.training.config import DPOConfig

__all__ = ["settle", "training_config", "with_absolute_paths"]

FIXED = ("model", "chat_template", "seed", "held_out")
"""The settings that all rounds of a folder share: the initial model, and the held-out prompts."""

LEAST_SHARE = 0.01
"""The fewest prompts to measure on, and to train on."""
WHO = ("judge", "judge_model", "instructions", "epsilon", "judge_reference", "people")
SET_HERE = (
    "output", "seed", "data.files", "model.name", "model.reference", "model.device", "model.dtype",
    "model.chat_template",
)  # fmt: skip
"""Training settings that the round itself determines."""


def with_absolute_paths(given: RoundSettings) -> RoundSettings:
    """The settings with absolute paths; a name that is no existing path is unchanged."""
    people = given.get("people")
    return given | {
        "model": _absolute(given.get("model")),
        "prompts": _absolute(given.get("prompts")),
        "judge": _absolute(given.get("judge"), "run:"),
        "judge_reference": _absolute(given.get("judge_reference")),
        "people": None if people is None else str(Path(people).resolve()),
        "chat_template": _absolute(given.get("chat_template")),
    }


def settle(given: Mapping[str, Any], rounds: Sequence[Round]) -> Plan:
    """The plan of the round to run: the unfinished one, or a new one, which inherits omitted settings from the last.

    given: `RoundSettings`. Raises ConfigError for a setting that is invalid or cannot change now.
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
            raise ConfigError(
                f"`{name}=...` is missing: the first round needs a model to start from and prompts to ask; give it"
            )
    if (merged.get("judge") is None) == (merged.get("people") is None):
        raise ConfigError('say who answers: `judge="positivity"` (or another), or `people=...`, not both')
    plan = _plan_of(merged)
    _check_settings(plan)
    if before and said_settings:
        _refuse_another_training(plan, before)
    return before.plan if before and is_under_way else plan


def training_config(plan: Plan) -> DPOConfig:
    """The configuration of a training run from the plan's settings. Raises ConfigError."""
    from penchant.training.config import DPOConfig
    from penchant.training.settings import build_config

    flags = {"data.files": ["votes.jsonl"], "output": "run", "model.name": plan.model}
    return build_config(DPOConfig, settings=plan.settings, flags=flags)


def _absolute(name: str | Path | None, prefix: str = "") -> str | None:
    """The path after `prefix` as an absolute one."""
    if name is None or not str(name).startswith(prefix):
        return None if name is None else str(name)
    path = Path(str(name).removeprefix(prefix)).expanduser()
    return f"{prefix}{path.resolve()}" if path.exists() else str(name)


def _plan_of(settings: Mapping[str, Any]) -> Plan:
    try:
        return Plan(**settings)
    except ValidationError as error:
        found = error.errors()[0]
        name = ".".join(map(str, found["loc"]))
        raise ConfigError(f"{name}: {found['msg']}, got {shown(found['input'])}; give another") from error


def _merged(before: Sequence[str], said: Sequence[str]) -> tuple[str, ...]:
    """Previous settings not given again, then the new ones; a section given again replaces all its parts."""
    keys = [_key(setting) for setting in said]
    kept = [one for one in before if not any(f"{_key(one)}.".startswith(f"{key}.") for key in keys)]
    return (*kept, *said)


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _check_settings(plan: Plan) -> None:
    """Raise ConfigError for settings that training would refuse, before anything is sampled."""
    from penchant.models.sampler import SamplingParams

    SamplingParams(plan.temperature, plan.top_p, plan.top_k, plan.max_new_tokens, plan.seed)
    if not LEAST_SHARE <= plan.held_out <= 1 - LEAST_SHARE:
        raise ConfigError(
            f"held_out must be from {LEAST_SHARE} to {1 - LEAST_SHARE}, got {plan.held_out}; choose another"
        )
    if plan.max_prompts is not None and plan.max_prompts < 1:
        raise ConfigError(f"max_prompts must be at least 1, got {plan.max_prompts}; leave it out to use all prompts")
    for key in map(_key, plan.settings):
        if any(name == key or name.startswith(f"{key}.") for name in SET_HERE):
            raise ConfigError(f"setting {key}: a round sets this itself; leave it out")
    training_config(plan)


def _refuse_another_training(plan: Plan, before: Round) -> None:
    """Raise ConfigError for settings that would change an unfinished round, or an adapter; they may be repeated."""
    new, old = training_config(plan), training_config(before.plan)
    if not before.is_finished:
        if new != old:
            raise ConfigError(_cannot_change("settings", before.plan.settings, before))
    elif new.model.lora != old.model.lora and before.made_adapter:
        raise ConfigError(
            f"model.lora: round {before.number} made an adapter, which is trained further as it is; leave "
            "model.lora out, or begin with another adapter in another folder"
        )


def _cannot_change(name: str, there: object, before: Round) -> str:
    argument = name if name == "settings" else f"`{name}=...`"
    if name in ("judge", "people") and there is None:
        other = "people" if name == "judge" else "judge"
        how = f"with `{other}={getattr(before.plan, other)}`"
    elif there is None or there == ():
        how = "without it"
    elif name == "settings":
        how = f"with {', '.join(before.plan.settings)}"
    else:
        how = "with another text" if name == "instructions" else f"with {there!r}"
    if before.is_finished:
        return f"{argument}: the rounds here began {how}; leave it out, or choose another folder"
    return (
        f"{argument}: round {before.number} is under way {how}; leave it out to go on, or remove {before.path} "
        "to begin the round again"
    )

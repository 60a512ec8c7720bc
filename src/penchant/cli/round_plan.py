"""The plan of a round: every setting, fixed when it begins; and the rounds of a folder.

FOLDER/round-N/ holds plan.json, train.jsonl and held-out.jsonl (the prompts), samples.jsonl, votes.jsonl, run/,
answers.jsonl, verdicts.jsonl, report.html and round.json. A round is finished when round.json is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from penchant.errors import ConfigError, OutputError

__all__ = ["Plan", "Round", "find_rounds", "settle"]

FIXED = ("model", "seed", "held_out")
"""What all rounds of a folder share: where they started, and which prompts are never trained on."""

WHO = ("judge", "judge_model", "instructions", "epsilon", "judge_reference", "people")
SET_HERE = (
    "output", "seed", "data.files", "model.name", "model.reference", "model.device", "model.dtype",
    "model.chat_template",
)  # fmt: skip
"""Settings of `penchant dpo` that the round itself gives."""


class Plan(BaseModel):
    """Everything that decides what a round does. instructions: the text. settings: of `penchant dpo`, as in --set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prompts: str
    judge: str | None = None
    judge_model: str | None = None
    instructions: str | None = None
    epsilon: float | None = None
    judge_reference: str | None = None
    people: str | None = None
    held_out: float = 0.2
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 128
    max_prompts: int | None = None
    seed: int = 0
    settings: tuple[str, ...] = ()
    device: str | None = None
    dtype: str | None = None
    chat_template: str | None = None


@dataclass(frozen=True)
class Round:
    """One round and where its things lie."""

    number: int
    path: Path
    plan: Plan

    @property
    def is_finished(self) -> bool:
        return (self.path / "round.json").is_file()

    @property
    def start(self) -> str:
        """The model it starts from: the run of the round before, or the one given at first."""
        return self.plan.model if self.number == 1 else str(self.path.parent / f"round-{self.number - 1}" / "run")

    @property
    def parent(self) -> str:
        """What the model it starts from is called."""
        return self.plan.model if self.number == 1 else f"round-{self.number - 1}"

    @property
    def chat_template(self) -> str | None:
        """What the first round's model needs; what it trained carries its own."""
        return self.plan.chat_template if self.number == 1 else None

    @property
    def seed(self) -> int:
        """Of sampling and training: another one each round, so that the same prompts get new responses."""
        return self.plan.seed + self.number - 1

    def record(self) -> dict[str, Any]:
        """round.json of a finished round. Raises OutputError."""
        return _read(self.path / "round.json")


def find_rounds(folder: Path) -> list[Round]:
    """The rounds that have begun, in order; only the last may be unfinished. Raises OutputError for another folder."""
    rounds: list[Round] = []
    while (file := folder / f"round-{len(rounds) + 1}" / "plan.json").is_file():
        try:
            plan = Plan.model_validate(_read(file))
        except ValueError as error:
            raise OutputError(f"{file}: damaged ({str(error).splitlines()[0]}); restore it from a copy") from error
        rounds.append(Round(len(rounds) + 1, file.parent, plan))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; rounds need a folder of their own")
    others = [path for path in folder.iterdir() if path.name != "round-1"] if folder.is_dir() and not rounds else []
    if others:
        raise OutputError(f"{folder}: holds {others[0].name} and no rounds; choose an empty folder, or a new one")
    return rounds


def settle(given: Mapping[str, Any], rounds: Sequence[Round]) -> Plan:
    """The plan of the round to turn: the one under way, or a new one, which takes what is not given from the last.

    given: settings by name, None where the user said nothing. Raises ConfigError for a setting that cannot change now.
    """
    said = {name: value for name, value in given.items() if value is not None}
    before = rounds[-1] if rounds else None
    is_under_way = before is not None and not before.is_finished
    for name in said if is_under_way else FIXED:
        if before and name in said and getattr(before.plan, name) != said[name]:
            raise ConfigError(_cannot_change(name, getattr(before.plan, name), before))
    inherited = before.plan.model_dump() if before else {}
    if not is_under_way and said.keys() & {"judge", "people"}:
        inherited = {name: value for name, value in inherited.items() if name not in WHO}
    merged = inherited | said
    for name in ("model", "prompts"):
        if name not in merged:
            raise ConfigError(f"--{name}: the first round needs it; say where to start from, and what to ask")
    if (merged.get("judge") is None) == (merged.get("people") is None):
        raise ConfigError("say who answers: --judge positivity (or another), or --people PROJECT, not both")
    plan = Plan(**merged)
    _check_settings(plan)
    return plan


def _check_settings(plan: Plan) -> None:
    """Refuse what training would refuse, before anything is sampled."""
    from penchant.cli.configuring import build_config
    from penchant.models.sampler import SamplingParams
    from penchant.training.config import DPOConfig

    SamplingParams(plan.temperature, plan.top_p, plan.top_k, plan.max_new_tokens, plan.seed)
    for setting in plan.settings:
        key = setting.partition("=")[0].strip()
        if any(name == key or name.startswith(f"{key}.") for name in SET_HERE):
            raise ConfigError(f"--set {key}: a round gives this itself; leave it out")
    flags = {"data.files": ["votes.jsonl"], "output": "run", "model.name": plan.model}
    build_config(DPOConfig, settings=plan.settings, flags=flags)


def _cannot_change(name: str, there: object, before: Round) -> str:
    option = {"settings": "set"}.get(name, name).replace("_", "-")
    if before.is_finished:
        return f"--{option}: the rounds here began with {there!r}; leave it out, or choose another folder"
    shown = "another text" if name == "instructions" else repr(there)
    return (
        f"--{option}: round {before.number} is under way with {shown}; leave it out to go on, or remove {before.path} "
        "to begin the round again"
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file}: cannot be read ({error}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise OutputError(f"{file}: damaged; restore it from a copy")
    return content

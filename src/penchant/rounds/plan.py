"""The plan of a round: all settings, fixed at its start; and the rounds of a folder.

FOLDER/round-N/ holds plan.json, train.jsonl and held-out.jsonl (the prompts), samples.jsonl, votes.jsonl, run/,
answers.jsonl, verdicts.jsonl, report.html and round.json. A round is finished when round.json is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict

from penchant.errors import OutputError
from penchant.files.lock import LOCK
from penchant.wording import reason_of

__all__ = ["Plan", "Round", "RoundSettings", "find_rounds"]


class RoundSettings(TypedDict, total=False):
    """The settings of a new round; None, or omitted, means as in the previous round.

    model: where the first round starts; later rounds continue from the last. prompts: a file of prompts, or a named
    set. judge: what answers (positivity, module:function, reward:FOLDER, run:FOLDER, http://...), or people: the
    annotation project. instructions: the instructions for an endpoint's model. held_out: share of the prompts to
    measure on. settings: training settings, each as "dpo.beta=0.05". seed: seeds the split and, with the round's
    number, everything else.
    """

    model: str | Path | None
    prompts: str | Path | None
    judge: str | None
    judge_model: str | None
    instructions: str | None
    epsilon: float | None
    judge_reference: str | Path | None
    people: str | Path | None
    held_out: float | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_new_tokens: int | None
    max_prompts: int | None
    seed: int | None
    settings: Sequence[str] | None
    device: str | None
    dtype: str | None
    chat_template: str | Path | None


class Plan(BaseModel):
    """Everything that decides what a round does, each as in `RoundSettings`.

    tasks: the prefix of people's task names, fixed when the round begins; absent in plans with a judge, and in those of
    older versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prompts: str
    judge: str | None = None
    judge_model: str | None = None
    instructions: str | None = None
    epsilon: float | None = None
    judge_reference: str | None = None
    people: str | None = None
    tasks: str | None = None
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
    """One round and its paths."""

    number: int
    path: Path
    plan: Plan

    @property
    def is_finished(self) -> bool:
        return (self.path / "round.json").is_file()

    @property
    def start(self) -> str:
        """The model it starts from: the previous round's run, or the initial model."""
        return self.plan.model if self.number == 1 else str(self.path.parent / f"round-{self.number - 1}" / "run")

    @property
    def parent(self) -> str:
        """The name of the model it starts from."""
        return self.plan.model if self.number == 1 else f"round-{self.number - 1}"

    @property
    def chat_template(self) -> str | None:
        """The chat template for the first round's model; trained models carry their own."""
        return self.plan.chat_template if self.number == 1 else None

    @property
    def seed(self) -> int:
        """The seed of sampling and training, which differs per round, so that prompts get new responses."""
        return self.plan.seed + self.number - 1

    @property
    def made_adapter(self) -> bool:
        """Whether the resulting model is an adapter, which the next round trains further."""
        return (self.path / "run" / "model" / "adapter_config.json").is_file()

    def record(self) -> dict[str, Any]:
        """round.json of a finished round. Raises OutputError."""
        return _read(self.path / "round.json")

    def digest_of(self, which: str) -> str:
        """The digest of a finished round's `model`, or of its `parent`. Raises OutputError."""
        try:
            return str(self.record()[which]["digest"])
        except (KeyError, TypeError) as error:
            file = self.path / "round.json"
            raise OutputError(f"{file}: damaged (it names no digest of its {which}); restore it from a copy") from error


def find_rounds(folder: Path) -> list[Round]:
    """The rounds of a folder, in order, each from the previous one's model; only the last may be unfinished.

    Raises OutputError for another kind of folder, and if a round is missing or was changed.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, but rounds need a folder of their own; choose another place")
    rounds: list[Round] = []
    while (file := folder / f"round-{len(rounds) + 1}" / "plan.json").is_file():
        try:
            plan = Plan.model_validate(_read(file))
        except ValueError as error:
            raise OutputError(f"{file}: damaged ({reason_of(error)}); restore it from a copy") from error
        rounds.append(Round(len(rounds) + 1, file.parent, plan))
    if later := [number for number in _begun(folder) if number > len(rounds)]:
        raise OutputError(
            f"{file}: is missing, but round-{min(later)} is there; restore round-{len(rounds) + 1} as it was, or "
            "move the rounds after it away"
        )
    mine = {"round-1", LOCK}
    others = [path for path in folder.iterdir() if path.name not in mine] if folder.is_dir() and not rounds else []
    if others:
        raise OutputError(f"{folder}: holds {others[0].name} and no rounds; choose an empty folder, or a new one")
    for before, this in pairwise(rounds):
        _check_lineage(before, this)
    return rounds


def _begun(folder: Path) -> list[int]:
    names = [plan.parent.name.removeprefix("round-") for plan in folder.glob("round-*/plan.json")]
    return [int(name) for name in names if name.isdecimal()]


def _check_lineage(before: Round, this: Round) -> None:
    made = before.digest_of("model")
    if this.is_finished and (started_from := this.digest_of("parent")) != made:
        raise OutputError(
            f"{this.path}: started from a model with the digest {started_from[:12]}, but round {before.number} made "
            f"{made[:12]}; restore round-{before.number} as it was, or move the rounds after it away"
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{file}: cannot be read ({reason_of(error)}); restore it from a copy") from error
    if not isinstance(content, dict):
        raise OutputError(f"{file}: damaged (it is not a JSON object); restore it from a copy")
    return content

"""The methods by name: what each is trained on, which setting is its strength, and what else makes it what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from penchant.online.config import RLHFConfig
from penchant.training.config import DPOConfig, SFTConfig

__all__ = ["METHODS", "Method"]

TrainsOn = Literal["pairs", "chosen", "prompts", "own pairs"]


@dataclass(frozen=True)
class Method:
    """trains_on: the preferences, their chosen side, scores of its own answers, or pairs of its own answers.

    strength: the setting that decides how far it goes. fixed: settings that make it this method.
    """

    name: str
    trains_on: TrainsOn
    strength: str
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> type[BaseModel]:
        """The settings it takes."""
        schemas: dict[TrainsOn, type[BaseModel]] = {"chosen": SFTConfig, "prompts": RLHFConfig}
        return schemas.get(self.trains_on, DPOConfig)

    @property
    def samples(self) -> bool:
        """Whether it is trained on answers of its own, which a reward must score."""
        return self.trains_on in ("prompts", "own pairs")


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("dpo", "pairs", "dpo.beta"),
        Method("ipo", "pairs", "dpo.beta", {"dpo.objective": "ipo_mean"}),
        Method("cdpo", "pairs", "dpo.beta", {"dpo.objective": "cdpo"}),
        Method("simpo", "pairs", "dpo.beta", {"dpo.objective": "simpo"}),
        Method("unlikelihood", "pairs", "dpo.alpha", {"dpo.objective": "unlikelihood"}),
        Method("sft", "chosen", "optimiser.epochs"),
        Method("rloo", "prompts", "rlhf.beta", {"rlhf.method": "rloo"}),
        Method("grpo", "prompts", "rlhf.beta", {"rlhf.method": "grpo"}),
        Method("ppo", "prompts", "rlhf.beta", {"rlhf.method": "ppo"}),
        Method("best_of_n", "prompts", "sampling.num_responses", {"rlhf.method": "best_of_n"}),
        Method("online_dpo", "own pairs", "dpo.beta"),
    )
}

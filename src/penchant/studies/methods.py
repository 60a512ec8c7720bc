"""The methods by name: training data, the setting that is the strength, and fixed settings."""

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

    strength: the setting that controls the distance from the start. fixed: settings that define the method.
    """

    name: str
    trains_on: TrainsOn
    strength: str
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> type[BaseModel]:
        """The schema of its settings."""
        schemas: dict[TrainsOn, type[BaseModel]] = {"chosen": SFTConfig, "prompts": RLHFConfig}
        return schemas.get(self.trains_on, DPOConfig)

    @property
    def samples(self) -> bool:
        """Whether it trains on its own answers, which a reward must score."""
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

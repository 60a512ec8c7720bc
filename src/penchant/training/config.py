"""Every setting of a run, checked once: frozen, no unknown key, each read by something."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

__all__ = [
    "DPOConfig",
    "DataConfig",
    "LoraConfig",
    "ModelConfig",
    "MovingReferenceConfig",
    "ObjectiveConfig",
    "OptimiserConfig",
    "RunConfig",
    "SFTConfig",
    "SaveConfig",
]

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Place = Annotated[str, AfterValidator(os.path.expanduser)]
"""A path; ~ is the home folder wherever it is written, not only where a shell reads it."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoraConfig(Section):
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685) instead of full fine-tuning."""

    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0)] = 32.0
    targets: tuple[str, ...] = Field((), description="module names; none: every linear layer but the head")


class ModelConfig(Section):
    """Which model, in which precision, on which device."""

    name: str = "smollm2-135m"
    reference: str | None = Field(None, description="the reference policy; none: the model itself as it was")
    chat_template: str | None = Field(None, description="'plain', or the path of a Jinja template")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    share_prefixes: bool = True
    gradient_checkpointing: bool = False
    lora: LoraConfig | None = None

    @field_validator("chat_template")
    @classmethod
    def _template_may_lie_at_home(cls, path: str | None) -> str | None:
        return path and os.path.expanduser(path)


class DataConfig(Section):
    """Which rows, how long, and what is held out."""

    files: tuple[Place, ...] = Field(min_length=1)
    max_rows: Positive | None = Field(None, description="at most so many records, from the start")
    held_out: Share = Field(0.1, description="share of the prompts held out for evaluation")
    max_length: Annotated[int, Field(ge=8)] = Field(1024, description="tokens of prompt and response together")
    max_prompt_length: Positive | None = Field(None, description="tokens of the prompt; none: max_length - 1")
    special_tokens: Literal["refuse", "text", "control"] = Field(
        "refuse", description="a text that spells a special token: refuse the row, read characters, or read the token"
    )
    on_bad_row: Literal["drop", "error"] = "drop"
    max_bad_share: Share = Field(0.1, description="stop when more than this share of the rows is bad")

    @field_validator("files", mode="before")
    @classmethod
    def _one_file_is_a_list_too(cls, files: object) -> object:
        return (files,) if isinstance(files, str) else files

    @model_validator(mode="after")
    def _prompt_leaves_room(self) -> DataConfig:
        if self.max_prompt_length is not None and self.max_prompt_length >= self.max_length:
            raise ValueError(
                f"max_prompt_length ({self.max_prompt_length}) leaves no room within max_length ({self.max_length})"
            )
        return self


class OptimiserConfig(Section):
    """AdamW (Loshchilov & Hutter 2017, arXiv 1711.05101), its schedule, and how a batch is cut."""

    learning_rate: Annotated[float, Field(gt=0)] | None = Field(None, description="none: the command's default")
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    warmup_ratio: Share = Field(0.1, description="share of the steps in which the learning rate rises")
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    epochs: Positive = 1
    max_steps: Positive | None = Field(None, description="stop after so many optimiser steps")
    batch_size: Positive = Field(8, description="pairs, or texts, an optimiser step")
    token_budget: Positive = Field(768, description="unique tokens a micro-batch; changes memory, not the gradient")
    max_bad_steps: Positive = Field(3, description="stop after so many non-finite steps in a row")


class SaveConfig(Section):
    """When to measure and when to save."""

    eval_every: Positive | None = Field(None, description="steps between evaluations; none: after every epoch")
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 10.0
    checkpoint_every: Positive | None = Field(None, description="also after every so many steps")
    keep_checkpoints: Positive = 1
    num_samples: Annotated[int, Field(ge=0)] = Field(4, description="held-out prompts answered at every evaluation")
    sample_tokens: Positive = Field(64, description="longest of these answers, in tokens")


class MovingReferenceConfig(Section):
    """TR-DPO (arXiv 2404.09656): the reference follows the policy."""

    every: Positive = Field(512, description="optimiser steps between moves")
    mixup: Annotated[float, Field(gt=0, le=1)] = Field(0.6, description="share of the way; 1 makes it the policy")


class ObjectiveConfig(Section):
    """What is minimised; parameters left out take the objective's own defaults."""

    objective: str = "dpo"
    beta: Annotated[float, Field(gt=0)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] | None = None
    sft_weight: Annotated[float, Field(ge=0)] = Field(0.0, description="weight of the SFT term on the chosen side")
    weighting: Literal["none", "wpo"] = Field("none", description="wpo: pairs count by how on-policy they are")
    moving_reference: MovingReferenceConfig | None = None

    alpha: float | None = Field(None, description="of r_dpo")
    desirable_weight: float | None = Field(None, description="of kto: weight of good responses")
    divergence_alpha: float | None = Field(None, description="of dpo_alpha: 0 is dpo, 1 the forward KL")
    gamma: float | None = Field(None, description="of simpo and d2po")
    ld_alpha: float | None = Field(None, description="of ld_dpo")
    nll_weight: float | None = Field(None, description="of cpo")
    odds_weight: float | None = Field(None, description="of orpo")
    penalty: float | None = Field(None, description="of dpop")
    tau: float | None = Field(None, description="of discopop")
    undesirable_weight: float | None = Field(None, description="of kto: weight of bad responses")

    @property
    def parameters(self) -> dict[str, float]:
        """The objective's parameters that were set, by name."""
        return self.model_dump(exclude={"objective", "sft_weight", "weighting", "moving_reference"}, exclude_none=True)


class RunConfig(Section):
    """What every training command shares."""

    output: Place
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="of order, held-out prompts and adapters; below 2**63"
    )
    model: ModelConfig = ModelConfig()
    data: DataConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    save: SaveConfig = SaveConfig()


class DPOConfig(RunConfig):
    """`penchant dpo`."""

    dpo: ObjectiveConfig = ObjectiveConfig()


class SFTConfig(RunConfig):
    """`penchant sft`."""

    optimiser: OptimiserConfig = OptimiserConfig(batch_size=16)

    @model_validator(mode="after")
    def _no_reference(self) -> SFTConfig:
        if self.model.reference is not None:
            raise ValueError("model.reference is not read by sft; leave it out")
        if self.data.max_prompt_length is not None:
            raise ValueError("data.max_prompt_length is not read by sft, which cuts at data.max_length; leave it out")
        return self

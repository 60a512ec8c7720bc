"""Every setting of a run, validated once: frozen, no unknown keys, each with an effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from penchant.data.options import ReadOptions
from penchant.data.pairing import PairingRule
from penchant.data.parts import Part
from penchant.data.read_as import columns_of
from penchant.objectives import row_in_table
from penchant.training.alarm_settings import NOT_BY_LOSS, AlarmsConfig
from penchant.training.parameters import ParameterSettings, check_parameters
from penchant.training.presets import PRESETS
from penchant.training.section import Place, Positive, Section, Share

__all__ = [
    "NOT_BY_LOSS",
    "AlarmsConfig",
    "DPOConfig",
    "DataConfig",
    "LoraConfig",
    "ModelConfig",
    "MovingReferenceConfig",
    "ObjectiveConfig",
    "OptimiserConfig",
    "ParallelConfig",
    "RewardConfig",
    "RunConfig",
    "SFTConfig",
    "SamplingConfig",
    "SaveConfig",
    "Section",
]


class LoraConfig(Section):
    """A low-rank adapter (Hu et al. 2021, arXiv 2106.09685) instead of full fine-tuning."""

    rank: Positive = Field(16, description="rank of the two factors; larger: more parameters")
    alpha: Annotated[float, Field(gt=0)] = Field(32.0, description="the adapter's output is scaled by alpha / rank")
    targets: tuple[str, ...] = Field(
        (),
        description="names of the modules that get an adapter; left out: every linear layer but the model's head",
    )


class ModelConfig(Section):
    """The model, its precision and its device."""

    name: str = Field(
        "smollm2-135m",
        description="a starter model's name, a Hugging Face folder, a run folder, a .gguf file, a Hub name",
    )
    reference: str | None = Field(
        None, description="the reference policy, named like the model; left out: the model before training"
    )
    chat_template: str | None = Field(
        None,
        description="'plain' for a model trained on raw text, or a Jinja file; left out: the tokenizer's own",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="device; auto: the first of cuda, mps and cpu that is available"
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of the matrix products; auto: bfloat16 on a CUDA GPU with support, float32 elsewhere; "
        "weights are float32 in both cases",
    )
    share_prefixes: bool = Field(
        True,
        description="compute shared prefixes of sequences (a prompt, a system message) once; the result is the same",
    )
    gradient_checkpointing: bool = Field(
        False, description="recompute activations in the backward pass: less memory, about a third more time"
    )
    lora: LoraConfig | None = Field(
        None, description="train a low-rank adapter instead of all weights; left out: all weights are trained"
    )

    quantisation: Literal["nf4"] | None = Field(
        None,
        description="nf4: hold the weights of linear layers under an adapter in 4 bits (QLoRA, arXiv 2305.14314; by "
        "bitsandbytes), others in float32; left out: all in float32",
    )

    @field_validator("chat_template")
    @classmethod
    def _template_may_lie_at_home(cls, path: str | None) -> str | None:
        return path and os.path.expanduser(path)


def _in_one_word(file: object) -> object:
    """A part of a mixture as text, checked; anything else unchanged."""
    if isinstance(file, Mapping):
        return str(Part.read(file))
    return str(Part.of(file)) if isinstance(file, str) else file


class DataConfig(Section):
    """The rows to use, length limits, and what is held out."""

    files: tuple[Place, ...] = Field(
        (),
        description="data, read one after another: files, folders, patterns, hub:owner/name, projects; as "
        "{path: pairs.jsonl, weight: 0.5, max_rows: 1000} or 'pairs.jsonl::weight=0.5,max_rows=1000' with a factor on "
        "the loss and a row limit, and optionally subset, kind, columns, format, pairing and min_gap",
    )
    columns: dict[str, str] = Field(
        {},
        description="columns of the files by the names under which they are read, {question: prompt, good: chosen}, or "
        "'question=prompt,good=chosen'",
    )
    format: str | None = Field(
        None, description="the data format of the rows, if several fit; left out: the first that fits"
    )
    max_rows: Positive | None = Field(None, description="use at most this many records; left out: all")
    subset: Literal["head", "random"] = Field(
        "head", description="which records max_rows keeps: the first, or a random choice by the seed of the run"
    )
    held_out: Share = Field(0.1, description="share of the prompts held out of training, for evaluation")
    max_length: Annotated[int, Field(ge=8)] = Field(
        1024, description="maximum tokens of prompt plus response; a longer response is truncated at its end"
    )
    max_prompt_length: Positive | None = Field(
        None,
        description="maximum tokens of the prompt; a row with a longer one cannot be used; left out: max_length - 1",
    )
    special_tokens: Literal["refuse", "text", "control"] = Field(
        "refuse",
        description="what to do with a text that spells a special token: refuse the row, read it as ordinary "
        "characters, or read it as the token",
    )
    on_bad_row: Literal["drop", "error"] = Field(
        "drop", description="a row that cannot be used is left out and listed, or ends the run before it trains"
    )
    pairing: PairingRule | None = Field(
        None,
        description="which answers of a ranked or scored list become pairs: all, best_worst, best_random (the best and "
        "one of the others) or adjacent; left out: all, or best_worst if the objective labels single responses",
    )
    min_gap: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="the smallest difference of two scores or ranks, in a list or of the two sides of a pair, that "
        "makes a pair; 0: any",
    )
    max_bad_share: Share = Field(
        0.1, description="stop before training where more than this share of the rows cannot be used"
    )

    @field_validator("files", mode="before")
    @classmethod
    def _one_file_is_a_list_too(cls, files: object) -> object:
        files = (files,) if isinstance(files, str | Mapping) else files
        if not isinstance(files, list | tuple):
            return files
        return tuple(_in_one_word(one) for one in files)

    @field_validator("columns", mode="before")
    @classmethod
    def _columns_may_be_one_text(cls, columns: object) -> object:
        return columns_of(columns) if isinstance(columns, str) else columns

    def read_options(self, seed: int) -> ReadOptions:
        """The options of the loaders; bad rows are returned, and counted with those that fail as tokens.

        Columns and format are applied when the sources are opened.
        """
        return ReadOptions(
            "drop", self.max_rows, self.subset, seed, self.columns, self.format, self.pairing, self.min_gap
        )

    @model_validator(mode="after")
    def _prompt_leaves_room(self) -> DataConfig:
        if self.max_prompt_length is not None and self.max_prompt_length >= self.max_length:
            raise ValueError(
                f"data.max_prompt_length is {self.max_prompt_length}, which leaves no room for a response within "
                f"data.max_length, {self.max_length}; lower it"
            )
        return self


class OptimiserConfig(Section):
    """AdamW (Loshchilov & Hutter 2017, arXiv 1711.05101), its schedule, and the size of batches."""

    learning_rate: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="peak learning rate; left out: for dpo 1e-5 up to 60 steps, falling to 5e-7 at 5,600; 2e-5 for "
        "sft, 1e-5 for reward and 1e-6 for rlhf; ten times as much for an adapter",
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "linear", description="after the warm-up the learning rate decays to zero (cosine, linear) or stays (constant)"
    )
    warmup_ratio: Share = Field(0.1, description="share of the steps over which the learning rate warms up from zero")
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="AdamW: each step reduces every weight by the learning rate times this share"
    )
    beta1: Share = Field(0.9, description="AdamW: decay rate of the running mean of the gradient")
    beta2: Share = Field(0.999, description="AdamW: decay rate of the running mean of the squared gradient")
    epsilon: Annotated[float, Field(gt=0)] = Field(
        1e-8, description="AdamW: added to the denominator, for numerical stability"
    )
    moments: Literal["float32", "8bit"] = Field(
        "float32",
        description="precision of AdamW's two moments; 8bit: in blocks of 256 (arXiv 2110.02861, by bitsandbytes), a "
        "quarter of the memory; tensors of fewer than 4,096 weights keep float32",
    )
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(
        1.0, description="gradient clipping: a larger gradient is scaled down to this norm"
    )
    router_loss: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="for a mixture of experts: weight of the load-balancing loss (Switch Transformers; "
        "0.001 to 0.02 are usual); 0: none",
    )
    epochs: Positive = Field(1, description="passes over the data")
    max_steps: Positive | None = Field(
        None,
        description="maximum number of optimiser steps, even if the epochs have more; left out: no limit",
    )
    order: Literal["random", "given"] = Field(
        "random",
        description="order of the records in an epoch: shuffled each time, keeping those of one prompt together, or as "
        "in the data, for example from easy to hard",
    )
    batch_size: Positive = Field(8, description="pairs (sft: texts) per optimiser step")
    token_budget: Positive = Field(
        768,
        description="maximum tokens of a micro-batch, shared ones once; changes memory and speed, not gradients",
    )
    max_bad_steps: Positive = Field(
        3, description="stop after this many steps in a row whose loss or gradient is not finite; each is skipped"
    )


class ParallelConfig(Section):
    """How several processes share a model."""

    mode: Literal["replicated", "sharded", "auto"] = Field(
        "replicated",
        description="every process holds the whole model, or a shard of each weight, gradient and moment (FSDP); auto: "
        "sharded if weights, gradients and moments would fill most of a process's memory",
    )
    offload: bool = Field(
        False,
        description="keep the shards of a GPU in the machine's memory and step the optimiser there (mode sharded)",
    )


class SaveConfig(Section):
    """When to evaluate and when to save."""

    eval_every: Positive | None = Field(
        None, description="optimiser steps between evaluations on the held-out prompts; left out: after every epoch"
    )
    checkpoint_minutes: Annotated[float, Field(gt=0)] = Field(
        10.0, description="save a checkpoint when this many minutes have passed since the last"
    )
    checkpoint_every: Positive | None = Field(
        None, description="also save a checkpoint every this many optimiser steps; left out: only by time"
    )
    keep_checkpoints: Positive = Field(1, description="how many of the newest checkpoints are kept")
    num_samples: Annotated[int, Field(ge=0)] = Field(
        4,
        description="held-out prompts that the model answers at every evaluation, as samples to read; 0: none",
    )
    sample_tokens: Positive = Field(64, description="maximum tokens of such a sample")
    trackers: tuple[str, ...] = Field(
        (),
        description="where metrics are logged: tensorboard, wandb, trackio, mlflow, a tracker that an installed "
        "package adds, or module:name of your own",
    )

    def is_due(self, step: int, seconds: float) -> bool:
        """Whether a checkpoint is due after this step, given the seconds since the last."""
        at_this_step = self.checkpoint_every is not None and step % self.checkpoint_every == 0
        return at_this_step or seconds >= 60 * self.checkpoint_minutes


class SamplingConfig(Section):
    """How responses are sampled and scored during training."""

    judge: str | None = Field(
        None,
        description="what scores responses: positivity, a judge of an installed package, module:function, "
        "reward:FOLDER, or the address of an endpoint",
    )
    judge_model: str | None = Field(None, description="for an endpoint: the model that scores")
    instructions: str | None = Field(None, description="for an endpoint: instructions that replace Penchant's own")
    num_responses: Annotated[int, Field(ge=1)] = Field(4, description="responses per prompt in each step")
    max_new_tokens: Positive = Field(128, description="maximum tokens of a response")
    temperature: Annotated[float, Field(gt=0)] = Field(
        1.0, description="divides the logits while sampling; at values other than 1, samples are not the policy's own"
    )
    at_once: Positive = Field(64, description="responses sampled in one batch; changes memory and speed only")
    passes: Positive = Field(1, description="passes over the responses of a step before new ones are sampled")
    minibatches: Positive = Field(1, description="optimiser steps per pass, split by prompt")
    missing_end_penalty: Annotated[float, Field(ge=0)] = Field(
        0.0, description="subtracted from the score of a response that reached max_new_tokens without an end of turn"
    )
    reward_clip: Annotated[float, Field(gt=0)] | None = Field(
        None, description="scores are clipped to this absolute value; left out: no clipping"
    )


class MovingReferenceConfig(Section):
    """TR-DPO (arXiv 2404.09656): the reference follows the policy."""

    every: Positive = Field(512, description="optimiser steps between moves of the reference")
    mixup: Annotated[float, Field(gt=0, le=1)] = Field(
        0.6, description="mixing weight of the policy in each move; 1: the reference becomes the policy"
    )


class BandConfig(Section):
    """The disentanglement band (arXiv 2604.18239): bounds on the ratio of the two sides' gradients."""

    ratio: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="centre of the band: the gradient norm of the rejected log-prob over that of the chosen; "
        "auto: measured during training, on at most one pair in 16",
    )
    rho: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9, description="width of the band: from rho times the ratio to the ratio over rho; the gradients' cosine"
    )


def _with_parameters(schema: dict[str, Any]) -> None:
    schema["properties"] |= ParameterSettings.model_json_schema()["properties"]


class ObjectiveConfig(Section):
    """The objective; parameters left out have the objective's defaults.

    Every other key is a parameter of the objective: one that `penchant objectives` lists or, for an objective from
    outside, one of its function's.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_parameters)

    objective: str = Field(
        "dpo",
        description="the loss that is minimised: a name that `penchant objectives` lists, or module:function",
    )
    sft_weight: Annotated[float, Field(ge=0)] = Field(
        0.0, description="weight of the next-token loss on chosen responses, added to the objective"
    )
    weighting: Literal["none", "wpo"] = Field(
        "none", description="wpo: weight pairs by how likely their responses are under the policy"
    )
    band: BandConfig | None = Field(
        None, description="bound the ratio of the two sides' gradients; left out: the objective's own ratio"
    )
    moving_reference: MovingReferenceConfig | None = Field(
        None, description="the reference follows the policy (TR-DPO); left out: it is fixed"
    )

    @classmethod
    def settings(cls, given: Mapping[str, Any]) -> dict[str, FieldInfo]:
        known = {**cls.model_fields, **ParameterSettings.model_fields}
        if row_in_table(given.get("objective", "dpo")):
            return known
        return {**{name: FieldInfo(annotation=float) for name in given}, **known}

    @model_validator(mode="before")
    @classmethod
    def _check_parameters(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = {name: value for name, value in given.items() if name in cls.model_fields}
        others = {name: value for name, value in given.items() if name not in fields}
        return {**fields, **check_parameters(given.get("objective", "dpo"), others)}

    @property
    def parameters(self) -> dict[str, float]:
        """The objective's parameters that were set, by name."""
        return {name: value for name, value in (self.model_extra or {}).items() if value is not None}

    @property
    def beta(self) -> float | None:
        """The beta with which rewards are shown; None if it was not set."""
        return self.parameters.get("beta")


class RunConfig(Section):
    """The settings that all training commands share."""

    output: Place | None = Field(None, description="the run folder that is written; a command needs one")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="decides the order of the data, which prompts are held out, and an adapter's first weights"
    )
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    parallel: ParallelConfig = ParallelConfig()
    save: SaveConfig = SaveConfig()
    alarms: AlarmsConfig = AlarmsConfig()

    @model_validator(mode="before")
    @classmethod
    def _sections_begin_as_the_command_has_them(cls, given: Any) -> Any:
        """A command's own defaults of a section are kept if another setting of that section is given."""
        if not isinstance(given, Mapping):
            return given
        usual = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        begun = {
            name: {**usual[name].model_dump(exclude_unset=True), **section}
            for name, section in given.items()
            if name in usual and isinstance(section, Mapping)
        }
        return {**given, **begun}

    @model_validator(mode="after")
    def _quantised_weights_stay_and_are_their_own_reference(self) -> Self:
        if self.model.quantisation is not None and self.model.lora is None:
            raise ValueError(
                "model.quantisation is only read with model.lora, as quantised weights cannot be trained; set "
                "model.lora too, or leave it out (an adapter that is trained further keeps the base that it had)"
            )
        if self.model.quantisation is not None and self.model.reference is not None:
            raise ValueError(
                "model.reference is not read with model.quantisation, which keeps the model without its adapter as the "
                "reference; leave out one of the two"
            )
        return self

    def with_learning_rate(self, rate: float) -> Self:
        """A copy with the peak learning rate in use, so that config.yaml and run.json record it."""
        return self.model_copy(update={"optimiser": self.optimiser.model_copy(update={"learning_rate": rate})})


class DPOConfig(RunConfig):
    """`penchant dpo`."""

    preset: str | None = Field(
        None,
        description="a published recipe, whose settings apply unless others are given: "
        f"{', '.join(PRESETS)}; left out: none",
    )
    dpo: ObjectiveConfig = ObjectiveConfig()
    sampling: SamplingConfig | None = Field(
        None, description="pairs are made during training from the policy's responses; left out: from the data"
    )

    @model_validator(mode="before")
    @classmethod
    def _loss_of_own_responses_raises_no_alarm(cls, given: Any) -> Any:
        """If pairs change with the policy, the loss does not measure its quality."""
        alarms = given.get("alarms", {}) if isinstance(given, Mapping) and given.get("sampling") is not None else None
        return {**given, "alarms": NOT_BY_LOSS | {**alarms}} if isinstance(alarms, Mapping) else given


class RewardObjectiveConfig(Section):
    """The terms of a reward model's loss besides the negative log-likelihood of the preferences."""

    centring: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="weight of the squared sum of a pair's two rewards, which brings their mean to zero (arXiv "
        "2312.09244, eq. 2); 0.01 is usual",
    )


class RewardConfig(RunConfig):
    """`penchant reward`."""

    save: SaveConfig = SaveConfig(num_samples=0)
    reward: RewardObjectiveConfig = RewardObjectiveConfig()

    @model_validator(mode="before")
    @classmethod
    def _writes_no_text(cls, given: Any) -> Any:
        save = given.get("save") if isinstance(given, Mapping) else None
        return {**given, "save": {"num_samples": 0, **save}} if isinstance(save, Mapping) else given

    @model_validator(mode="after")
    def _read_or_refused(self) -> RewardConfig:
        if self.model.reference is not None:
            raise ValueError("model.reference is not read by reward; leave it out")
        if self.save.num_samples:
            raise ValueError("save.num_samples is not read by reward, as a reward model writes no text; leave it out")
        return self


class SFTConfig(RunConfig):
    """`penchant sft`."""

    optimiser: OptimiserConfig = OptimiserConfig(batch_size=16)

    @model_validator(mode="after")
    def _no_reference(self) -> SFTConfig:
        if self.model.reference is not None:
            raise ValueError("model.reference is not read by sft; leave it out")
        if self.data.max_prompt_length is not None:
            raise ValueError("data.max_prompt_length is not read by sft, which cuts at data.max_length; leave it out")
        if self.data.pairing is not None or self.data.min_gap:
            raise ValueError("data.pairing and data.min_gap are not read by sft, which makes no pairs; leave them out")
        return self

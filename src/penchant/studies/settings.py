"""The settings of `penchant frontier` and `penchant sweep`, all checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from penchant.data.pairing import PairingRule
from penchant.studies.methods import METHODS, Method
from penchant.training.section import Checked
from penchant.wording import nearest, shown

__all__ = ["Curve", "FrontierConfig", "Pool", "StudyConfig", "SweepConfig"]

Scores = Literal["judge", "learned"]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
OF_GROUND = ("demonstration_settings", "reward_settings")
SAID_OF_GROUND = ("output", "model.name", "data.files")
"""Training settings that the study itself determines; for points there are more."""
SAID_OF_POINTS = ("seed", "sampling.judge")


class Pool(Checked):
    """The start's answers to the training prompts, from which the preferences are made."""

    num_responses: Annotated[int, Field(ge=2)] = Field(4, description="answers to each training prompt")
    temperature: Annotated[float, Field(gt=0)] = Field(1.0, description="sampling temperature")
    rule: PairingRule = Field("all", description="which of a prompt's answers become pairs")
    min_gap: Annotated[float, Field(ge=0)] = Field(0.0, description="the smallest difference of scores of a pair")


class Curve(Checked):
    """One method at several strengths."""

    method: str | None = Field(None, description="its name in the table of methods; left out: the name of the curve")
    strengths: Annotated[tuple[float, ...], Field(min_length=1)] = Field(description="one run per value and seed")
    scores: Scores = Field("judge", description="what scores its own answers: the judge, or a reward model")
    settings: dict[str, Any] = Field({}, description="further settings of its training runs")


class StudyConfig(Checked):
    """The settings shared by all runs of a study."""

    model: str = Field(description="the initial model of all runs; with demonstrations, the start is trained from it")
    chat_template: str | None = Field(None, description="'plain' for a model trained on raw text, or a Jinja file")
    device: str | None = Field(None, description="device; left out: the best available")
    dtype: str | None = Field(None, description="precision; left out: the best available")
    demonstrations: str | None = Field(None, description="a file for supervised fine-tuning of the start")
    demonstration_settings: dict[str, Any] = Field({}, description="settings of that training")
    prompts: str = Field(description="a file of prompts, or a set that comes with Penchant")
    max_prompts: Annotated[int, Field(ge=4)] | None = Field(
        None, description="maximum number of prompts; left out: all"
    )
    held_out: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="share of the prompts held out for evaluation"
    )
    max_new_tokens: Annotated[int, Field(ge=1)] = Field(64, description="maximum tokens of any answer")
    judge: str | None = Field(None, description="the true reward: positivity or reward:FOLDER; others by argument")
    pairs: str | None = Field(None, description="a file of preferences; left out: the judge's, on sampled answers")
    pool: Pool = Pool()
    measured_responses: Annotated[int, Field(ge=1)] = Field(4, description="answers to each held-out prompt")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field((0,), description="one run of each point per seed")
    keep_models: bool = Field(True, description="whether each run keeps its model once it is measured")
    settings: dict[str, Any] = Field({}, description="settings of every training run")
    reward_settings: dict[str, Any] = Field({}, description="settings of the reward model's training")

    @model_validator(mode="after")
    def _settings_have_dotted_names(self) -> StudyConfig:
        for where, settings in self.all_settings().items():
            if section := next((key for key, value in settings.items() if isinstance(value, Mapping)), None):
                whole = f"{section}.{next(iter(settings[section]), '...')}"
                raise ValueError(f"{'.'.join(where)}: write whole names of settings, such as `{whole}`, not sections")
            decided = SAID_OF_GROUND if where[0] in OF_GROUND else (*SAID_OF_GROUND, *SAID_OF_POINTS)
            if said := next((key for key in settings if key in decided), None):
                raise ValueError(f"{'.'.join(where)}.{said}: the study sets it for every training run; leave it out")
        return self

    @model_validator(mode="after")
    def _all_is_read(self) -> StudyConfig:
        if self.demonstration_settings and self.demonstrations is None:
            raise ValueError("demonstration_settings: no file of `demonstrations` to train on is given; leave it out")
        if self.pairs is not None and "pool" in self.model_fields_set:
            raise ValueError(
                "pool: no answers are sampled where `pairs` gives the preferences; leave out one of the two"
            )
        return self

    def all_settings(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """All training settings in it, by their location."""
        names = ("settings", *OF_GROUND)
        return {(name,): getattr(self, name) for name in names}


class FrontierConfig(StudyConfig):
    """`penchant frontier`: methods at several strengths."""

    methods: Annotated[dict[str, Curve], Field(min_length=1)] = Field(description="curves by name")
    matched_kl: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (), description="KLs at which methods are compared, in nats per response; left out: the largest that all reach"
    )

    def all_settings(self) -> dict[tuple[str, ...], dict[str, Any]]:
        return super().all_settings() | {
            ("methods", name, "settings"): one.settings for name, one in self.methods.items()
        }

    @model_validator(mode="after")
    def _methods_are_known(self) -> FrontierConfig:
        for label, curve in self.methods.items():
            name = curve.method or label
            if name not in METHODS:
                meant = nearest(name, METHODS)
                hint = f"did you mean '{meant}'?" if meant else f"choose from {', '.join(METHODS)}"
                raise ValueError(f"methods.{label}: there is no method {shown(name)}; {hint}")
            if curve.scores == "learned" and not METHODS[name].samples:
                raise ValueError(
                    f"methods.{label}.scores: {name} is trained on preferences and reads no scores; leave it out"
                )
            own, how = f"methods.{label}.settings", METHODS[name]
            if how.strength in curve.settings:
                raise ValueError(f"{own}.{how.strength}: the `strengths` of the method set it; leave it out")
            _refuse_another_method(own, curve.settings, how)
            _refuse_another_method("settings", self.settings, how)
        strengths = {METHODS[curve.method or label].strength for label, curve in self.methods.items()}
        if len(strengths) == 1 and (key := strengths.pop()) in self.settings:
            raise ValueError(f"settings.{key}: the `strengths` of every method set it; leave it out")
        return self


class SweepConfig(StudyConfig):
    """`penchant sweep`: one method on a grid of settings, to pick the best place within a budget of KL."""

    method: str = Field("dpo", description="its name in the table of methods")
    scores: Scores = Field("judge", description="as for a method of `penchant frontier`")
    grid: Annotated[dict[str, tuple[Any, ...]], Field(min_length=1)] = Field(
        description="values of settings, {dpo.beta: [0.05, 0.1]}; every combination is run"
    )
    kl_budget: Annotated[float, Field(gt=0)] = Field(
        description="maximum KL in nats per response of the chosen run, by the upper 95% limit"
    )

    def all_settings(self) -> dict[tuple[str, ...], dict[str, Any]]:
        return super().all_settings() | {("grid",): dict(self.grid)}

    @model_validator(mode="after")
    def _fits_together(self) -> SweepConfig:
        if self.method not in METHODS:
            raise ValueError(f"method: there is no method {shown(self.method)}; choose from {', '.join(METHODS)}")
        if empty := [name for name, values in self.grid.items() if not values]:
            raise ValueError(f"grid.{empty[0]}: holds no value; give at least one")
        method = METHODS[self.method]
        if self.scores == "learned" and not method.samples:
            raise ValueError(f"scores: {self.method} is trained on preferences and reads no scores; leave it out")
        if twice := next((key for key in self.settings if key in self.grid), None):
            raise ValueError(
                f"settings.{twice}: the grid sets it for every run; leave it out of the settings or of the grid"
            )
        _refuse_another_method("settings", self.settings, method)
        for key, values in self.grid.items():
            for value in values:
                _refuse_another_method("grid", {key: value}, method)
        return self


def _refuse_another_method(where: str, settings: Mapping[str, Any], method: Method) -> None:
    """Raise ValueError if settings contradict the fixed settings of the method."""
    for key, value in method.fixed.items():
        if key in settings and settings[key] != value:
            raise ValueError(
                f"{where}.{key}: got {shown(settings[key])}, but the method {method.name} sets it to {value!r}; leave "
                "it out, or choose another method"
            )

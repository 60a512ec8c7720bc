"""The settings of a run's alarms: the limit and the action of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from penchant.training.section import Section

__all__ = ["NOT_BY_LOSS", "AlarmName", "AlarmsConfig"]

Limit = Annotated[float, Field(ge=0)] | None
AlarmName = Literal[
    "chosen_fell",
    "both_fell",
    "saturated",
    "not_moving",
    "past_best",
    "overfit",
    "kl_over_budget",
    "grew_longer",
    "repeats_itself",
    "does_not_end",
    "gradient_spike",
    "few_pairs_decide",
    "sides_entangled",
    "judge_undecided",
]


class AlarmsConfig(Section):
    """The limits of the alarms during training, null to switch one off; docs/alarms.md explains them."""

    chosen_fell: Limit = Field(
        5.0, description="average log-prob in nats that the chosen responses may lose, beyond noise"
    )
    both_fell: Limit = Field(0.6, description="share of pairs whose responses may both become less likely")
    saturated: Limit = Field(10.0, description="mean margin of training pairs that are all ranked correctly")
    not_moving: Limit = Field(0.5, description="share of the steps after which a loss still at ln 2 raises the alarm")
    past_best: Limit = Field(0.05, description="how far the held-out accuracy may fall below its best")
    overfit: Limit = Field(0.02, description="how far the held-out loss may rise above its lowest")
    kl_over_budget: Limit = Field(
        None,
        description="maximum KL from the reference in nats per response, on the policy's own answers; "
        "measuring it keeps the reference's weights in memory; left out: not measured",
    )
    grew_longer: Limit = Field(
        1.5, description="length of the answers to the fixed prompts, divided by that before training"
    )
    repeats_itself: Limit = Field(
        0.2, description="increase in the share of repeated word sequences in these answers since before training"
    )
    does_not_end: Limit = Field(
        0.5, description="increase in the share of these answers that do not end their turn since before training"
    )
    gradient_spike: Limit = Field(
        20.0, description="gradient norm of a step, divided by the median of the steps before"
    )
    few_pairs_decide: Limit = Field(
        0.6,
        description="share of the gradient that a twentieth of the pairs may have, or pairs with nearly the same "
        "sides, or pairs that are clearly ranked the wrong way round",
    )
    sides_entangled: Limit = Field(
        0.7, description="share of measured pairs whose own gradient may move both sides the same way"
    )
    judge_undecided: Limit = Field(
        0.8, description="share of the prompts for which the judge may give all responses the same score"
    )
    alike_pairs: int = Field(
        256,
        ge=0,
        description="number of pairs whose similarity of sides (CHES) is measured before the first step, at most 3% of "
        "those trained on; the report names the most similar if chosen responses fall; 0: none",
    )
    actions: dict[AlarmName, Literal["note", "stop", "lower_rate", "keep_best"]] = Field(
        {},
        description="what an alarm does besides its message, {saturated: stop}: note (nothing), stop, lower_rate (the "
        "learning rate is halved) or keep_best (stop, and keep the model of the lowest held-out loss)",
    )


NOT_BY_LOSS: dict[str, Any] = {"not_moving": None, "overfit": None}
"""Alarms that read the loss, off if it is measured on responses that change."""

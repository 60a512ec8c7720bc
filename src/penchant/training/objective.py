"""From the settings to what is minimised: which rows are read, which task is trained, and what is refused, why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.objectives import (
    LabelledObjective,
    Objective,
    PairBatch,
    bind,
    bind_token_weights,
    get_objective,
    mixture,
    refuse_unread,
    sft,
)
from penchant.progress import Reporter
from penchant.tokens import EncodedPair
from penchant.training.config import DPOConfig, ObjectiveConfig
from penchant.training.coupled import CoupledTask
from penchant.training.dataset import Dataset, labelled_dataset, pair_dataset
from penchant.training.labelled import LabelledTask
from penchant.training.moving_reference import MovingReference
from penchant.training.step import PreferenceTask
from penchant.training.task import Task

__all__ = ["ChosenObjective", "choose_objective"]

NO_MEAN = (
    "dpo.moving_reference: the mean of two adapters is not an adapter of their rank, so a reference cannot follow one"
)


@dataclass(frozen=True)
class ChosenObjective:
    """An objective with settled parameters. beta: what rewards are shown with."""

    config: ObjectiveConfig
    row: Objective
    function: Callable[[Any], Tensor]
    token_weights: Callable[[int, int], Tensor] | None

    @property
    def beta(self) -> float:
        return self.config.beta or self.row.defaults.get("beta", 1.0)

    @property
    def needs_reference(self) -> bool:
        return self.row.needs_reference

    def dataset(self, run: DPOConfig, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        """The items it is trained on. Raises DataError, and ConfigError for labels that it would not read."""
        if self.config.moving_reference is not None and model.is_adapter:
            raise ConfigError(f"{NO_MEAN}; leave it out, or merge the adapter first with `penchant export`")
        if isinstance(self.row, LabelledObjective):
            return labelled_dataset(run.data, model, run.seed, reporter)
        data = pair_dataset(run.data, model, run.seed, reporter)
        _refuse_unread_labels(self.row, (*data.train, *data.held_out))
        if (weights := self.token_weights) is None:
            return data
        sides = [tuple(p.weigh_tokens(lambda *n: weights(*n).numpy()) for p in s) for s in (data.train, data.held_out)]
        return replace(data, train=sides[0], held_out=sides[1])

    def task(self, reference: Mapping[bytes, float], model: LanguageModel) -> Task[Any]:
        """What the loop trains, given the reference's log-probs by key."""
        task: Task[Any]
        if isinstance(self.row, LabelledObjective):
            task = LabelledTask(self.function, self.beta, reference, self.row)
        elif self.row.batch_coupled:
            task = CoupledTask(self.function, self.beta, reference)
        else:
            task = PreferenceTask(self.function, self.beta, reference, wpo=self.config.weighting == "wpo")
        if (moving := self.config.moving_reference) is None:
            return task
        start = {name: parameter.detach().clone() for name, parameter in model.network.named_parameters()}
        return MovingReference(task, start, moving.every, moving.mixup)


def choose_objective(run: DPOConfig) -> ChosenObjective:
    """The bound objective with its auxiliary term. Raises ConfigError for what does not go together."""
    config = run.dpo
    try:
        row = get_objective(config.objective)
        function = bind(config.objective, **config.parameters)
        token_weights = bind_token_weights(row, **config.parameters)
    except ValueError as error:
        raise ConfigError(f"dpo: {error}") from error
    for holds, words in _conflicts(run, row):
        if holds:
            raise ConfigError(words)
    if config.sft_weight:
        function = mixture([(1.0, function), (config.sft_weight, sft)])
    return ChosenObjective(config, row, function, token_weights)


def _conflicts(run: DPOConfig, row: Objective) -> list[tuple[bool, str]]:
    """Settings that do not go together, each with the sentence that says so."""
    labelled, moving = isinstance(row, LabelledObjective), run.dpo.moving_reference is not None
    return [
        (
            run.model.reference is not None and not row.needs_reference,
            f"model.reference is not read by {row.name}, which needs none; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and labelled,
            f"dpo.sft_weight is not read by {row.name}, whose responses have no partner; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and row.token_weights is not None,
            f"dpo.sft_weight is a mean over tokens that count alike, and {row.name} weighs them; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and row.name == "sft",
            "dpo.sft_weight would add the objective sft to itself; leave it out",
        ),
        (
            run.dpo.weighting == "wpo" and (labelled or row.batch_coupled),
            f"dpo.weighting: wpo weighs single pairs, and {row.name} has none; leave it out",
        ),
        (
            moving and not row.needs_reference,
            f"dpo.moving_reference is not read by {row.name}, which needs no reference; leave it out",
        ),
        (
            moving and run.model.lora is not None,
            f"{NO_MEAN}; leave out model.lora or dpo.moving_reference",
        ),
        (
            moving and run.model.reference is not None,
            "dpo.moving_reference starts at the model itself; leave out model.reference",
        ),
    ]


def _refuse_unread_labels(row: Objective, pairs: Sequence[EncodedPair]) -> None:
    """Soft labels, margins and weights that the objective would ignore are an error, never a silence."""
    batch = replace(
        PairBatch.hard(*torch.zeros(6, len(pairs))),
        probability_B=torch.tensor([pair.probability for pair in pairs]),
        margin_B=torch.tensor([pair.margin for pair in pairs]),
    )
    try:
        refuse_unread(row, batch)
    except ValueError as error:
        raise ConfigError(f"dpo.objective: {error}") from error
    if row.batch_coupled and any(pair.weight != 1 for pair in pairs):
        raise ConfigError(
            f"dpo.objective: {row.name} compares ranks within a batch, which have no weight, but some pairs have one; "
            "remove the weights or use an objective of single pairs"
        )

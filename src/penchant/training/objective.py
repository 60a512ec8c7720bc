"""Choose the recipe from the settings: which rows are read, which task is trained, and which settings conflict."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.data.given import Data
from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.objectives import (
    LabelledObjective,
    Objective,
    PairBatch,
    Remembering,
    RunningRatio,
    bind,
    bind_token_weights,
    in_band,
    mixture,
    refuse_unread,
    resolve_objective,
    sft,
)
from penchant.progress import Reporter
from penchant.tokens.store import SomePairs
from penchant.training.config import DPOConfig, ObjectiveConfig, OptimiserConfig, RewardConfig, RunConfig, SFTConfig
from penchant.training.coupled import CoupledTask
from penchant.training.dataset import Dataset, demonstration_dataset, labelled_dataset, pair_dataset
from penchant.training.kept import tokens_folder
from penchant.training.live import live_beside
from penchant.training.moving_reference import MovingReference
from penchant.training.next_token import NextTokenTask
from penchant.training.preferences import PreferenceTask
from penchant.training.rewards import Rewards
from penchant.training.schedule import num_steps, preference_peak
from penchant.training.single_responses import LabelledTask
from penchant.training.task import Encoded, Task

__all__ = ["NextTokens", "Preferences", "Recipe", "choose_recipe", "usual_learning_rate"]

NO_MEAN = (
    "dpo.moving_reference: the mean of two adapters is no adapter of their rank, so no reference can follow an adapter"
)


class Recipe(Protocol):
    """The recipe of one command. command: its name in the ledger. beta: the scale of reported rewards, if any.

    model_kind: the kind to which its model is converted if necessary.
    """

    command: str

    @property
    def model_kind(self) -> type[LanguageModel]: ...

    @property
    def beta(self) -> float | None: ...

    @property
    def needs_reference(self) -> bool: ...

    @property
    def answers_as(self) -> str:
        """The export of a project of people's answers: pairs, kto or sft."""

    def usual_learning_rate(self, num_steps: int) -> float:
        """The default peak learning rate for full fine-tuning."""

    def dataset(self, run: Any, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]: ...

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        """The task to train. reference: log-probs by key. live: the reference, if it is another model."""

    def group_of(self, item: Any) -> Hashable:
        """The group of an item; items of the same group stay adjacent in an epoch."""


@dataclass(frozen=True)
class NextTokens:
    """Supervised fine-tuning on demonstrations or plain text: every token is predicted from those before it."""

    command = "sft"
    model_kind = LanguageModel
    beta = None
    needs_reference = False
    answers_as = "sft"

    def usual_learning_rate(self, num_steps: int) -> float:
        return 2e-5

    def dataset(self, run: SFTConfig, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        return demonstration_dataset(run.data, data, model, run.seed, reporter, tokens_folder(run))

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        return NextTokenTask()

    def group_of(self, item: Any) -> Hashable:
        return object()  # every item is its own group


@dataclass(frozen=True)
class Preferences:
    """An objective of preferences with its parameters set."""

    config: ObjectiveConfig
    row: Objective
    function: Callable[[Any], Tensor]
    token_weights: Callable[[int, int], Tensor] | None
    memory: Remembering | None = None
    ratio: RunningRatio | None = None
    command = "dpo"
    model_kind = LanguageModel

    @property
    def beta(self) -> float:
        return self.config.beta or self.row.defaults.get("beta", 1.0)

    @property
    def needs_reference(self) -> bool:
        return self.row.needs_reference

    @property
    def answers_as(self) -> str:
        return "kto" if isinstance(self.row, LabelledObjective) else "pairs"

    def usual_learning_rate(self, num_steps: int) -> float:
        return preference_peak(num_steps)

    def group_of(self, item: Encoded) -> Hashable:
        return item.sequences[0].context

    def dataset(self, run: DPOConfig, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        """The items to train on. Raises DataError, and ConfigError for labels that it would not read."""
        if self.config.moving_reference is not None and model.is_adapter:
            raise ConfigError(f"{NO_MEAN}; leave it out, or merge the adapter first with `penchant export`")
        if isinstance(self.row, LabelledObjective):
            return labelled_dataset(run.data, data, model, run.seed, reporter, tokens_folder(run))
        found = pair_dataset(run.data, data, model, run.seed, reporter, tokens_folder(run))
        sides = [side for side in (found.train, found.held_out) if isinstance(side, SomePairs)]
        _refuse_unread_labels(self.row, sides[0].store.distinct_labels())
        if (weights := self.token_weights) is None:
            return found
        weighed = [side.changed(lambda pair: pair.weigh_tokens(lambda *n: weights(*n).numpy())) for side in sides]
        return replace(found, train=weighed[0], held_out=weighed[1])

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        """The task to train. Raises ConfigError for a reference that cannot run beside the policy."""
        task: Task[Any]
        beside = live_beside(model, live) if "kl" in self.row.reads else None
        if isinstance(self.row, LabelledObjective):
            task = LabelledTask(self.function, self.beta, reference, self.row)
        elif self.row.batch_coupled:
            task = CoupledTask(self.function, self.beta, reference, ratio=self.ratio, memory=self.memory)
        else:
            wpo = self.config.weighting == "wpo"
            task = PreferenceTask(self.function, self.beta, reference, wpo=wpo, live=beside, ratio=self.ratio)
        if (moving := self.config.moving_reference) is None:
            return task
        return MovingReference(task, (beside or LiveReference.of(model)).start, moving.every, moving.mixup)


def choose_recipe(run: RunConfig, own: Callable[[PairBatch], Tensor] | None = None) -> Recipe:
    """The recipe for the settings. Raises ConfigError for incompatible settings.

    own: the objective itself if the settings name a function in memory.
    """
    if isinstance(run, RewardConfig):
        return Rewards(run.reward.centring)
    if isinstance(run, DPOConfig) and run.sampling is not None:
        raise ConfigError(
            "sampling: its settings are only read while training online; give `online=...` too, or leave them out"
        )
    return choose_objective(run, own) if isinstance(run, DPOConfig) else NextTokens()


def choose_objective(run: DPOConfig, own: Callable[[PairBatch], Tensor] | None = None) -> Preferences:
    """The bound objective with its auxiliary term. Raises ConfigError for incompatible settings."""
    config = run.dpo
    try:
        row = resolve_objective(own or config.objective)
        function = bind(own or config.objective, **config.parameters)
        token_weights = bind_token_weights(row, **config.parameters)
    except ValueError as error:
        raise ConfigError(f"dpo: {error}") from error
    for holds, words in _conflicts(run, row):
        if holds:
            raise ConfigError(words)
    memory = function if isinstance(function, Remembering) else None
    if config.sft_weight:
        function = mixture([(1.0, function), (config.sft_weight, sft)])
    measured = None
    if (band := config.band) is not None:
        ratio = RunningRatio() if isinstance(band.ratio, str) else band.ratio
        measured = ratio if isinstance(ratio, RunningRatio) else None
        function = in_band(function, ratio=ratio, rho=band.rho)
    return Preferences(config, row, function, token_weights, memory, measured)


def _conflicts(run: DPOConfig, row: Objective) -> list[tuple[bool, str]]:
    """Incompatible settings, each with an error sentence."""
    labelled, moving = isinstance(row, LabelledObjective), run.dpo.moving_reference is not None
    return [
        (
            run.model.reference is not None and not row.needs_reference,
            f"model.reference is not read by {row.name}, which needs none; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and labelled,
            f"dpo.sft_weight is not read by {row.name}, which reads single responses; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and row.token_weights is not None,
            f"dpo.sft_weight averages tokens without weights, but {row.name} weights them; leave it out",
        ),
        (
            bool(run.dpo.sft_weight) and row.name == "sft",
            "dpo.sft_weight would add the objective sft to itself; leave it out",
        ),
        (
            run.dpo.weighting == "wpo" and (labelled or row.batch_coupled),
            f"dpo.weighting: wpo weights each pair by itself, but {row.name} does not read pairs one by one; leave it "
            "out",
        ),
        (
            run.dpo.band is not None and labelled,
            f"dpo.band is not read by {row.name}, which reads single responses; leave it out",
        ),
        (
            run.dpo.band is not None and "kl" in row.reads,
            f"dpo.band bounds the gradients of two log-probs, but {row.name} also reads the sequential KL; leave it "
            "out",
        ),
        (
            run.optimiser.router_loss > 0 and "kl" in row.reads,
            f"optimiser.router_loss would also count the routers of the reference, which {row.name} runs in every "
            "step; leave it out",
        ),
        (
            (labelled or row.batch_coupled) and "kl" in row.reads,
            f"dpo.objective: {row.name} reads the sequential KL, which needs an objective that reads pairs one by "
            "one; choose another",
        ),
        (
            moving and not row.needs_reference,
            f"dpo.moving_reference is not read by {row.name}, which needs no reference; leave it out",
        ),
        (
            moving and row.memory is not None,
            f"dpo.moving_reference would falsify the running means that {row.name} keeps of earlier batches; leave it "
            "out",
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


def _refuse_unread_labels(row: Objective, labels: NDArray[np.float64]) -> None:
    """Raise an error for soft labels, margins and weights that the objective would ignore.

    labels: weight, probability and margin of each kind of pair present.
    """
    weights, probabilities, margins = torch.from_numpy(labels).float().T
    batch = replace(
        PairBatch.hard(*torch.zeros(6, len(labels))),
        probability_B=probabilities,
        margin_B=margins,
    )
    try:
        refuse_unread(row, batch)
    except ValueError as error:
        raise ConfigError(f"dpo.objective: {error}") from error
    if row.batch_coupled and bool((weights != 1).any()):
        raise ConfigError(
            f"dpo.objective: {row.name} compares the pairs of a batch with each other and reads no weights, but some "
            "pairs have one; remove the weights, or choose an objective that reads each pair by itself"
        )


def usual_learning_rate(recipe: Recipe, optimiser: OptimiserConfig, num_items: int, *, adapter: bool) -> float:
    """The default peak learning rate; ten times as high for an adapter."""
    steps = num_steps(num_items, optimiser.batch_size, optimiser.epochs, optimiser.max_steps)
    return float(f"{recipe.usual_learning_rate(steps) * (10 if adapter else 1):.6g}")

"""What is learned from an item, and the sums that its losses and metrics are gathered in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.tokens import TokenSequence

__all__ = ["Encoded", "Item", "Metrics", "StepResult", "Tally", "Task"]


class Encoded(Protocol):
    """What the loop needs of an item: its token sequences, and where it came from."""

    @property
    def sequences(self) -> tuple[TokenSequence, ...]: ...

    @property
    def origin(self) -> Any: ...


Item = TypeVar("Item", bound=Encoded)
Metrics = Mapping[str, tuple[Tensor, float]]
"""By name: a sum or its terms, and of how many terms."""


class Task(ABC, Generic[Item]):
    """What is learned from an item. A subclass gives `losses`, and the rest where it needs it."""

    @property
    def knows_items(self) -> bool:
        """Whether what `for_batch` gives knows items by their identity, so that a whole batch of them must be held."""
        return False

    def count(self, item: Item) -> float:
        """How many terms of the mean loss this item contributes."""
        return 1.0

    @abstractmethod
    def losses(self, model: LanguageModel, items: Sequence[Item]) -> tuple[Tensor, Metrics]:
        """Summed loss of the items, differentiable, and metrics."""

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Item]]) -> Task[Item]:
        """The task whose `losses` are right for micro-batches of this batch.

        Where an item's loss depends on the others of its batch, what it depends on is computed here.
        """
        return self

    def updates(self, model: LanguageModel, drawn: Sequence[Any], step: int) -> Iterable[Sequence[Item]]:
        """The items of each optimiser step that is made of what was drawn; by default one, of the items themselves.

        step: steps of the loop taken before. A task whose items are written by the model makes them here.
        """
        yield drawn

    def measured(self, model: LanguageModel, held_out: Sequence[Any]) -> Sequence[Item]:
        """What an evaluation measures, made of what is held out; by default that itself."""
        return held_out

    def seen(self) -> Mapping[str, float]:
        """Metrics of what the newest `updates` or `measured` was made of, whether or not any item came of it."""
        return {}

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """What is trained beside the model's own parameters, by names that these have not."""
        return {}

    def after_update(
        self, model: LanguageModel, items: Sequence[Item], parameters: Iterable[torch.nn.Parameter], step: int
    ) -> None:
        """Called when the optimiser has stepped on these items, while gradients are free to be written over.

        parameters: all that are trained. step: as of `updates`.
        """

    def after_step(self, model: LanguageModel, step: int) -> None:
        """Called when optimiser step number `step` (from 1) is done."""

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint must hold beside the weights."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""


@dataclass
class Tally:
    """Sums over items, so that a mean is taken once, over all of them."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Tensor, count: float, metrics: Metrics) -> None:
        for name, (value, number) in {"loss": (loss, count), **metrics}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach().sum())
            self.counts[name] = self.counts.get(name, 0.0) + number

    def as_dict(self) -> dict[str, dict[str, float]]:
        """What `together` takes, as JSON has it."""
        return {"sums": self.sums, "counts": self.counts}

    @classmethod
    def together(cls, parts: Iterable[Mapping[str, Mapping[str, float]]]) -> Tally:
        """The sums over the items of all parts, such as those of several ranks."""
        whole = cls()
        for part in parts:
            for name, value in part["sums"].items():
                whole.sums[name] = whole.sums.get(name, 0.0) + value
                whole.counts[name] = whole.counts.get(name, 0.0) + part["counts"][name]
        return whole

    def means(self) -> dict[str, float]:
        """Mean of everything that has terms."""
        return {name: value / self.counts[name] for name, value in self.sums.items() if self.counts[name]}


@dataclass(frozen=True)
class StepResult(Generic[Item]):
    """means: loss and metrics over the batch. num_tokens: tokens run, shared ones once. finite: safe to step on.

    margins: where the task measures one for each item, the item's origin and its margin.
    """

    means: dict[str, float]
    grad_norm: float
    num_tokens: int
    finite: bool
    bad_items: tuple[Item, ...]
    margins: tuple[tuple[str, float], ...] = ()

    @classmethod
    def together(cls, results: Sequence[StepResult[Item]]) -> StepResult[Item]:
        """What several updates came to: the mean of each metric over those that have it; one alone stays as it is."""
        if len(results) == 1:
            return results[0]
        names = dict.fromkeys(name for result in results for name in result.means)
        of_name = {name: [r.means[name] for r in results if name in r.means] for name in names}
        return cls(
            {name: sum(values) / len(values) for name, values in of_name.items()},
            sum(r.grad_norm for r in results) / max(len(results), 1),
            sum(r.num_tokens for r in results),
            all(r.finite for r in results),
            tuple(item for r in results for item in r.bad_items),
            tuple(margin for r in results for margin in r.margins),
        )

"""Define a training task: the losses of items, and the sums of losses and metrics."""

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
    """An item of the loop: its token sequences, and its origin."""

    @property
    def sequences(self) -> tuple[TokenSequence, ...]: ...

    @property
    def origin(self) -> Any: ...


Item = TypeVar("Item", bound=Encoded)
Metrics = Mapping[str, tuple[Tensor, float]]
"""By name: a sum, or its terms, and the number of terms."""


class Task(ABC, Generic[Item]):
    """A training task. A subclass defines `losses`, and overrides the rest if needed."""

    @property
    def knows_items(self) -> bool:
        """Whether the task of `for_batch` tells items apart by identity, so that the batch must stay in memory."""
        return False

    def count(self, item: Item) -> float:
        """The number of terms of the mean loss that this item contributes."""
        return 1.0

    @abstractmethod
    def losses(self, model: LanguageModel, items: Sequence[Item]) -> tuple[Tensor, Metrics]:
        """Summed loss of the items, differentiable, and metrics."""

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Item]]) -> Task[Item]:
        """The task whose `losses` apply to micro-batches of this batch.

        If an item's loss depends on the others of its batch, the dependence is computed here.
        """
        return self

    def updates(self, model: LanguageModel, drawn: Sequence[Any], step: int) -> Iterable[Sequence[Item]]:
        """Yield the items of each optimiser step made from a batch; by default one step, with the items themselves.

        step: loop steps taken before. A task whose items the model generates makes them here.
        """
        yield drawn

    def measured(self, model: LanguageModel, held_out: Sequence[Any]) -> Sequence[Item]:
        """The items that an evaluation measures, made from the held-out ones; by default the same."""
        return held_out

    def seen(self) -> Mapping[str, float]:
        """Metrics of the inputs of the latest `updates` or `measured`, whether or not they made any item."""
        return {}

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        """Parameters trained besides the model's own, by names that do not clash with them."""
        return {}

    def after_step(self, model: LanguageModel, step: int) -> None:
        """Called after optimiser step number `step` (from 1)."""

    def state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint must contain besides the weights."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restore the result of `state`."""


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
        """The input of `together`, as JSON values."""
        return {"sums": self.sums, "counts": self.counts}

    @classmethod
    def together(cls, parts: Iterable[Mapping[str, Mapping[str, float]]]) -> Tally:
        """Combine the sums of several parts, such as ranks."""
        whole = cls()
        for part in parts:
            for name, value in part["sums"].items():
                whole.sums[name] = whole.sums.get(name, 0.0) + value
                whole.counts[name] = whole.counts.get(name, 0.0) + part["counts"][name]
        return whole

    def means(self) -> dict[str, float]:
        """The mean of everything that has terms."""
        return {name: value / self.counts[name] for name, value in self.sums.items() if self.counts[name]}


@dataclass(frozen=True)
class StepResult(Generic[Item]):
    """means: loss and metrics over the batch. num_tokens: tokens run, shared ones once. finite: safe to step on.

    margins: if the task measures one per item, the item's origin and its margin.
    """

    means: dict[str, float]
    grad_norm: float
    num_tokens: int
    finite: bool
    bad_items: tuple[Item, ...]
    margins: tuple[tuple[str, float], ...] = ()

    @classmethod
    def together(cls, results: Sequence[StepResult[Item]]) -> StepResult[Item]:
        """Combine several updates: the mean of each metric over those that have it; a single one is unchanged."""
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

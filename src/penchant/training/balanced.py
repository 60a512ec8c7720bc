"""Train any task on a mixture of experts, with the loss that balances the use of its experts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.models.routers import Routers
from penchant.training.task import Item, Metrics, Task

__all__ = ["Balanced"]


@dataclass(frozen=True)
class Balanced(Task[Item]):
    """Another task's mean loss plus `weight` times the balance loss of each micro-batch, by its share of items.

    An evaluation measures the balance but does not add it.
    """

    inner: Task[Item]
    routers: Routers
    weight: float

    @property
    def knows_items(self) -> bool:
        return self.inner.knows_items

    def count(self, item: Item) -> float:
        return self.inner.count(item)

    def losses(self, model: LanguageModel, items: Sequence[Item]) -> tuple[Tensor, Metrics]:
        with self.routers.listening():
            loss, metrics = self.inner.losses(model, items)
        balance = self.routers.loss()
        count = sum(map(self.count, items))
        if torch.is_grad_enabled():
            loss = loss + self.weight * count * balance
        return loss, {**metrics, "router_balance": (count * balance.detach(), count)}

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Item]]) -> Task[Item]:
        return replace(self, inner=self.inner.for_batch(model, micro_batches))

    def updates(self, model: LanguageModel, drawn: Sequence[Any], step: int) -> Iterable[Sequence[Item]]:
        return self.inner.updates(model, drawn, step)

    def measured(self, model: LanguageModel, held_out: Sequence[Any]) -> Sequence[Item]:
        return self.inner.measured(model, held_out)

    def seen(self) -> Mapping[str, float]:
        return self.inner.seen()

    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        return self.inner.parameters()

    def after_step(self, model: LanguageModel, step: int) -> None:
        self.inner.after_step(model, step)

    def state(self) -> dict[str, Tensor]:
        return self.inner.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.inner.restore(state)

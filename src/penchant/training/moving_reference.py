"""TR-DPO: a reference that is moved towards the policy every few steps.

    pi_ref <- mixup * pi + (1 - mixup) * pi_ref, in the weights, every `every` optimiser steps

(Gorbatovski et al. 2024, arXiv 2404.09656: mixup < 1 is its soft update, mixup 1 its hard one.) Until the
first move the reference is the initial model, with cached log-probs; afterwards every batch runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.tokens import TokenSequence
from penchant.training.task import Encoded, Metrics, Task

__all__ = ["MovingReference"]


class Referenced(Encoded, Protocol):
    """An item with sequences that a reference scores."""

    @property
    def referenced(self) -> tuple[TokenSequence, ...]: ...


Item = TypeVar("Item", bound=Referenced)


@dataclass
class MovingReference(Task[Item]):
    """Another task with a moving reference. weights: those of the reference, empty until it has moved."""

    inner: Task[Item]
    start: Mapping[str, Tensor]
    every: int
    mixup: float
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def knows_items(self) -> bool:
        return self.inner.knows_items

    def count(self, item: Item) -> float:
        return self.inner.count(item)

    def losses(self, model: LanguageModel, items: Sequence[Item]) -> tuple[Tensor, Metrics]:
        return self.inner.losses(model, items)

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[Item]]) -> Task[Item]:
        if not self.weights:
            return self.inner.for_batch(model, micro_batches)
        reference: dict[bytes, float] = {}
        with torch.no_grad(), model.with_weights(self.weights):
            for items in micro_batches:
                sequences = [sequence for item in items for sequence in item.referenced]
                values = score_sequences(model, sequences).tolist()
                reference |= {s.key: value for s, value in zip(sequences, values, strict=True)}
        inner = cast(Any, self.inner)  # any class of task
        live = {"live": LiveReference(start=self.weights)} if getattr(inner, "live", None) else {}
        asked_anew: Task[Item] = replace(inner, reference=reference, **live)
        return asked_anew.for_batch(model, micro_batches)

    def after_step(self, model: LanguageModel, step: int) -> None:
        if step % self.every:
            return
        self.weights = self.weights or dict(self.start)
        for name, parameter in model.network.named_parameters():
            self.weights[name] = torch.lerp(self.weights[name], parameter.detach(), self.mixup)

    def state(self) -> dict[str, Tensor]:
        return self.weights

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.weights = {name: tensor.to(self.start[name].device) for name, tensor in state.items()}

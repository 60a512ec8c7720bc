"""The policy that training is held to, there to be asked while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import Head
from penchant.models.unshared import logits_one_by_one
from penchant.tokens import Forest

__all__ = ["LiveReference"]


@dataclass(frozen=True)
class LiveReference:
    """Another model; or the policy with the weights that it began with; or, without either, without its adapter."""

    other: LanguageModel | None = None
    start: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: LanguageModel) -> LiveReference:
        """The policy as it is now: a copy of its weights, of an adapter's alone where one is trained."""
        weights = policy.network.named_parameters()
        return cls(start={n: w.detach().clone() for n, w in weights if w.requires_grad or not policy.is_adapter})

    def states(self, policy: LanguageModel, read: Callable[[LanguageModel], Tensor]) -> tuple[Tensor, Head]:
        """The states that `read` gives of the reference, and its head; without a gradient."""
        with torch.no_grad(), self.in_place_of(policy) as model:
            # tensors of their own, as the policy's parameters are given their weights back
            bias = None if model.head.bias is None else model.head.bias.detach()
            return read(model), Head(model.head.weight.detach(), bias, model.logit_softcap)

    def logits(self, policy: LanguageModel, forest: Forest) -> list[Tensor]:
        """By its own code, as `logits_one_by_one`; without a gradient."""
        with torch.no_grad(), self.in_place_of(policy) as model:
            return logits_one_by_one(model, forest)

    @contextmanager
    def in_place_of(self, policy: LanguageModel) -> Iterator[LanguageModel]:
        """The reference, ready to be asked."""
        if self.other is not None:
            yield self.other
        else:
            with policy.with_weights(self.start) if self.start else policy.as_reference():
                yield policy

"""The reference policy, kept available during training."""

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
    """Another model, the policy with its initial weights, or the policy without its adapter."""

    other: LanguageModel | None = None
    start: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: LanguageModel) -> LiveReference:
        """The current policy as reference: a copy of its weights, or only of its adapter's."""
        weights = policy.network.named_parameters()
        return cls(start={n: w.detach().clone() for n, w in weights if w.requires_grad or not policy.is_adapter})

    def states(self, policy: LanguageModel, read: Callable[[LanguageModel], Tensor]) -> tuple[Tensor, Head]:
        """The reference's states from `read`, and its head; without gradient."""
        with torch.no_grad(), self.in_place_of(policy) as model:
            # separate tensors, as the policy's weights are restored afterwards
            bias = None if model.head.bias is None else model.head.bias.detach()
            return read(model), Head(model.head.weight.detach(), bias, model.logit_softcap)

    def logits(self, policy: LanguageModel, forest: Forest) -> list[Tensor]:
        """Logits by its own code, like `logits_one_by_one`; without gradient."""
        with torch.no_grad(), self.in_place_of(policy) as model:
            return logits_one_by_one(model, forest)

    @contextmanager
    def in_place_of(self, policy: LanguageModel) -> Iterator[LanguageModel]:
        """A context with the reference's weights in place."""
        if self.other is not None:
            yield self.other
        else:
            with policy.with_weights(self.start) if self.start else policy.as_reference():
                yield policy

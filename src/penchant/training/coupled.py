"""Train batch-coupled objectives in micro-batches, with the exact gradient.

The loss of a batch depends on the model through two numbers per pair, its log-probs. They are first computed for the
whole batch without a graph; the derivatives of the loss with respect to them are then constants. A micro-batch's share
of the gradient is its log-probs times these constants (the two passes of Gao et al. 2021, arXiv 2101.06983, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from penchant import ranks
from penchant.models.language_model import LanguageModel
from penchant.objectives import PairBatch, Remembering
from penchant.tokens import EncodedPair
from penchant.training.preferences import PreferenceTask

__all__ = ["CoupledTask"]


@dataclass(frozen=True)
class CoupledTask(PreferenceTask):
    """A batch-coupled preference objective. terms: for each item, its loss and derivatives in the two log-probs.

    memory: the objective's statistics of the batches trained on; None if it has none.
    """

    memory: Remembering | None = None
    terms: Mapping[int, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)

    @property
    def knows_items(self) -> bool:
        return True

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[EncodedPair]]) -> CoupledTask:
        with torch.no_grad():
            scored = [self.batch_of(model, items) for items in micro_batches]
        batch, own = _joined(scored)
        with torch.enable_grad():
            sides = [side.clone().requires_grad_() for side in (batch.policy_chosen_B, batch.policy_rejected_B)]
            loss_B = self.objective(replace(batch, policy_chosen_B=sides[0], policy_rejected_B=sides[1]))
            slopes = torch.autograd.grad(loss_B.sum(), sides)
        items = [item for micro_batch in micro_batches for item in micro_batch]
        terms = zip(*(of_B[own] for of_B in (loss_B.detach(), *slopes)), strict=True)
        return replace(self, terms={id(item): term for item, term in zip(items, terms, strict=True)})

    def after_update(
        self, model: LanguageModel, items: Sequence[EncodedPair], parameters: Iterable[torch.nn.Parameter], step: int
    ) -> None:
        """Remember the batch; an alarm or an evaluation, which run the objective on other pairs, come later."""
        if self.memory is not None:
            self.memory.keep()
        super().after_update(model, items, parameters, step)

    def state(self) -> dict[str, Tensor]:
        memory_S = None if self.memory is None else self.memory.memory_S
        return super().state() | ({} if memory_S is None else {"memory": memory_S})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        if self.memory is not None and "memory" in state:
            self.memory.memory_S = state["memory"]

    def loss(self, batch: PairBatch, items: Sequence[EncodedPair]) -> Tensor:
        terms = [torch.stack(self.terms[id(item)]) for item in items]
        loss_B, chosen_B, rejected_B = torch.stack(terms, dim=1)
        change_B = chosen_B * _only_gradient(batch.policy_chosen_B)
        summed: Tensor = (loss_B + change_B + rejected_B * _only_gradient(batch.policy_rejected_B)).sum()
        return summed


def _only_gradient(x: Tensor) -> Tensor:
    """Zero, with the gradient of `x`."""
    return x - x.detach()


def _joined(batches: Sequence[PairBatch]) -> tuple[PairBatch, slice]:
    """The whole batch over all ranks, and the position of this rank's pairs in it."""
    own, where = {}, slice(None)
    for f in fields(PairBatch):
        if f.name.startswith("kl_"):  # no batch-coupled objective reads the KL
            continue
        of_B = [getattr(batch, f.name) for batch in batches] or [torch.empty(0)]
        own[f.name], where = ranks.concatenate(torch.cat(of_B))
    return PairBatch(**own), where

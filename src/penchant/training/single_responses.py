"""The training task of objectives on single responses labelled good or bad (KTO, BCO).

Rewards are relative to a baseline of the whole batch, which is computed before the micro-batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from penchant import ranks
from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.objectives import LabelledBatch, LabelledFunction, LabelledObjective
from penchant.tokens import EncodedLabelled, TokenSequence
from penchant.training.task import Metrics, Task

__all__ = ["LabelledTask"]


@dataclass(frozen=True)
class LabelledTask(Task[EncodedLabelled]):
    """An objective of labelled responses; reference: log-prob of every response by the sequence's key.

    row: defines the baseline. baseline: its value for the current batch, in units of reward.
    """

    objective: LabelledFunction
    beta: float
    reference: Mapping[bytes, float]
    row: LabelledObjective
    baseline: float = 0.0

    def for_batch(self, model: LanguageModel, micro_batches: Sequence[Sequence[EncodedLabelled]]) -> LabelledTask:
        with torch.no_grad():
            rewards = [self._rewards(model, [self._measured(item) for item in items]) for items in micro_batches]
        labels = [item.desirable for items in micro_batches for item in items]
        desirable_R, _ = ranks.concatenate(torch.tensor(labels, dtype=torch.bool))
        reward_R, _ = ranks.concatenate(torch.cat(rewards or [torch.empty(0)]))
        return replace(self, baseline=float(self.row.baseline(reward_R, desirable_R.to(reward_R.device))))

    def losses(self, model: LanguageModel, items: Sequence[EncodedLabelled]) -> tuple[Tensor, Metrics]:
        policy_R = score_sequences(model, [item.sequence for item in items])
        batch = LabelledBatch(
            policy_R=policy_R,
            reference_R=self._reference_of([item.sequence for item in items], policy_R),
            desirable_R=torch.tensor([item.desirable for item in items], device=policy_R.device),
            weight_R=policy_R.new_tensor([item.weight for item in items]),
            baseline=policy_R.new_tensor(self.baseline),
        )
        loss = (batch.weight_R * self.objective(batch)).sum()
        reward_R = self.beta * batch.log_ratio_R.detach()
        metrics: dict[str, tuple[Tensor, float]] = {"baseline": (batch.baseline * len(items), float(len(items)))}
        for side, of_side in (("chosen", batch.desirable_R), ("rejected", ~batch.desirable_R)):
            count = float(of_side.sum())
            metrics[f"rewards/{side}"] = (reward_R[of_side].sum(), count)
            metrics[f"logps/{side}"] = (policy_R.detach()[of_side].sum(), count)
        return loss, metrics

    def _measured(self, item: EncodedLabelled) -> TokenSequence:
        return item.mismatch if self.row.mismatched else item.sequence

    def _rewards(self, model: LanguageModel, sequences: Sequence[TokenSequence]) -> Tensor:
        policy_R = score_sequences(model, sequences)
        return self.beta * (policy_R - self._reference_of(sequences, policy_R))

    def _reference_of(self, sequences: Sequence[TokenSequence], like: Tensor) -> Tensor:
        return like.new_tensor([self.reference[sequence.key] for sequence in sequences])

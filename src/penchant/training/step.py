"""One optimiser step: micro-batches by token budget, the loss of each, one gradient, whatever the split.

Shape suffixes: B pairs of a micro-batch, R responses (2B).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from penchant.models.forward import score_pairs
from penchant.models.language_model import LanguageModel
from penchant.objectives import PairBatch, PairFunction, implicit_rewards
from penchant.tokens import EncodedPair, pack
from penchant.training.task import Item, Metrics, Tally, Task

__all__ = ["PreferenceTask", "StepResult", "accumulate"]


@dataclass(frozen=True)
class PreferenceTask(Task[EncodedPair]):
    """A preference objective; reference: summed log-prob of every response by the sequence's key.

    wpo: whether a pair counts by how likely the policy is to write it itself.
    """

    objective: PairFunction
    beta: float
    reference: Mapping[bytes, float]
    wpo: bool = False

    def reference_of(self, items: Sequence[EncodedPair]) -> Tensor:
        """Reference log-probs of chosen and rejected in turn, (R,)."""
        return torch.tensor([self.reference[s.key] for pair in items for s in pair.sequences])

    def losses(self, model: LanguageModel, items: Sequence[EncodedPair]) -> tuple[Tensor, Metrics]:
        batch = score_pairs(model, items, self.reference_of(items), wpo=self.wpo)
        loss = self.loss(batch, items)
        with torch.no_grad():
            chosen_B, rejected_B = implicit_rewards(batch, self.beta)
            metrics = {
                "rewards/chosen": chosen_B,
                "rewards/rejected": rejected_B,
                "rewards/margins": chosen_B - rejected_B,
                "rewards/accuracies": (chosen_B > rejected_B).float(),
                "logps/chosen": batch.policy_chosen_B,
                "logps/rejected": batch.policy_rejected_B,
            }
            return loss, {name: (value_B, float(len(items))) for name, value_B in metrics.items()}

    def loss(self, batch: PairBatch, items: Sequence[EncodedPair]) -> Tensor:
        """Summed loss of the items, whose numbers are in `batch`."""
        return (batch.weight_B * self.objective(batch)).sum()


@dataclass(frozen=True)
class StepResult(Generic[Item]):
    """means: loss and metrics over the batch. num_tokens: tokens run, shared ones once. finite: safe to step on."""

    means: dict[str, float]
    grad_norm: float
    num_tokens: int
    finite: bool
    bad_items: tuple[Item, ...]


def accumulate(
    model: LanguageModel,
    task: Task[Item],
    batch: Sequence[Item],
    parameters: Sequence[torch.nn.Parameter],
    *,
    token_budget: int,
    max_grad_norm: float,
    before_micro_batch: Callable[[], None] = lambda: None,
) -> StepResult[Item]:
    """Put the gradient of the batch's mean loss into `parameters`, clipped to `max_grad_norm`.

    Every micro-batch's summed loss is divided by the count of the whole batch, so that how items are split into
    micro-batches never changes the gradient.
    """
    total = sum(task.count(item) for item in batch)
    tally, bad, tokens_before = Tally(), [], model.num_tokens_run
    packed = pack([item.sequences for item in batch], token_budget, share=model.shares)
    micro_batches = [[batch[i] for i in indices] for indices in packed]
    task = task.for_batch(model, micro_batches)
    for items in micro_batches:
        before_micro_batch()
        loss, metrics = task.losses(model, items)
        (loss / total).backward()
        tally.add(loss, sum(task.count(item) for item in items), metrics)
        if not torch.isfinite(loss.detach()):
            bad += items
        # nodes of a spent graph would lie between the next activations, and memory would not be reused
        del loss, metrics
    grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm))
    finite = not bad and math.isfinite(grad_norm)
    num_tokens = model.num_tokens_run - tokens_before
    return StepResult(tally.means(), grad_norm, num_tokens, finite, tuple(bad or ([] if finite else batch)))

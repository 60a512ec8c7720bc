"""One optimiser step: micro-batches by token budget, the loss of each, one gradient, whatever the split.

Shape suffixes: B pairs of a micro-batch, R responses (2B), K scored tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from penchant.models.forward import score_forest, score_pairs
from penchant.models.language_model import LanguageModel
from penchant.objectives import PairFunction, implicit_rewards
from penchant.tokens import EncodedExample, EncodedPair, Forest, TokenSequence, pack

__all__ = ["Item", "NextTokenTask", "PreferenceTask", "StepResult", "Tally", "Task", "accumulate"]


class Encoded(Protocol):
    """What the loop needs of an item: its token sequences, and where it came from."""

    @property
    def sequences(self) -> tuple[TokenSequence, ...]: ...

    @property
    def origin(self) -> Any: ...


Item = TypeVar("Item", bound=Encoded)


@dataclass
class Tally:
    """Sums over items, so that a mean is taken once, over all of them. `loss` and metrics are sums of `count` terms."""

    loss: float = 0.0
    count: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Tensor, count: float, sums: Mapping[str, Tensor]) -> None:
        self.loss += float(loss.detach())
        self.count += count
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def means(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}{name}": value / self.count for name, value in {"loss": self.loss, **self.sums}.items()}


class Task(Protocol[Item]):
    """What is learned from an item."""

    def count(self, item: Item) -> float:
        """How many terms of the mean loss this item contributes: pairs or scored tokens."""
        ...

    def losses(self, model: LanguageModel, items: Sequence[Item]) -> tuple[Tensor, dict[str, Tensor]]:
        """Summed loss of the items, differentiable, and sums of metrics."""
        ...


@dataclass(frozen=True)
class PreferenceTask:
    """A preference objective; reference: summed log-prob of every response by the sequence's key."""

    objective: PairFunction
    beta: float
    reference: Mapping[bytes, float]

    def count(self, item: EncodedPair) -> float:
        return 1.0

    def losses(self, model: LanguageModel, items: Sequence[EncodedPair]) -> tuple[Tensor, dict[str, Tensor]]:
        reference_R = torch.tensor([self.reference[s.key] for pair in items for s in pair.sequences])
        batch = score_pairs(model, items, reference_R)
        loss = (batch.weight_B * self.objective(batch)).sum()
        with torch.no_grad():
            chosen_B, rejected_B = implicit_rewards(batch, self.beta)
            return loss, {
                "rewards/chosen": chosen_B.sum(),
                "rewards/rejected": rejected_B.sum(),
                "rewards/margins": (chosen_B - rejected_B).sum(),
                "rewards/accuracies": (chosen_B > rejected_B).float().sum(),
                "logps/chosen": batch.policy_chosen_B.sum(),
                "logps/rejected": batch.policy_rejected_B.sum(),
            }


@dataclass(frozen=True)
class NextTokenTask:
    """Cross-entropy of the scored tokens, in nats a token."""

    def count(self, item: EncodedExample) -> float:
        return float(item.sequence.scored.sum())

    def losses(self, model: LanguageModel, items: Sequence[EncodedExample]) -> tuple[Tensor, dict[str, Tensor]]:
        forest = Forest.plant([item.sequence for item in items], share=model.shares)
        return -score_forest(model, forest).sum(), {}


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
    for indices in pack([item.sequences for item in batch], token_budget, share=model.shares):
        before_micro_batch()
        items = [batch[i] for i in indices]
        loss, sums = task.losses(model, items)
        (loss / total).backward()
        tally.add(loss, sum(task.count(item) for item in items), sums)
        if not torch.isfinite(loss.detach()):
            bad += items
        del loss, sums  # nodes of a spent graph would lie between the next activations, and memory would not be reused
    grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm, foreach=True))
    finite = not bad and math.isfinite(grad_norm)
    num_tokens = model.num_tokens_run - tokens_before
    return StepResult(tally.means(), grad_norm, num_tokens, finite, tuple(bad or ([] if finite else batch)))

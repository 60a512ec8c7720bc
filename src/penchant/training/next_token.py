"""The training task of next-token prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.tokens import EncodedExample
from penchant.training.task import Metrics, Task

__all__ = ["NextTokenTask"]


@dataclass(frozen=True)
class NextTokenTask(Task[EncodedExample]):
    """The cross-entropy of the scored tokens, in nats per token: their weighted mean."""

    def count(self, item: EncodedExample) -> float:
        return item.total_weight

    def losses(self, model: LanguageModel, items: Sequence[EncodedExample]) -> tuple[Tensor, Metrics]:
        sequences = [sequence for item in items for sequence in item.sequences]
        return -score_sequences(model, sequences).sum(), {}

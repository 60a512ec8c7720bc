"""Next-token training as a task of the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from penchant.models.forward import score_forest
from penchant.models.language_model import LanguageModel
from penchant.tokens import EncodedExample, Forest
from penchant.training.task import Metrics, Task

__all__ = ["NextTokenTask"]


@dataclass(frozen=True)
class NextTokenTask(Task[EncodedExample]):
    """Cross-entropy of the scored tokens, in nats a token."""

    def count(self, item: EncodedExample) -> float:
        return float(item.sequence.scored.sum())

    def losses(self, model: LanguageModel, items: Sequence[EncodedExample]) -> tuple[Tensor, Metrics]:
        forest = Forest.plant([item.sequence for item in items], share=model.shares)
        return -score_forest(model, forest).sum(), {}

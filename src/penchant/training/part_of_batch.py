"""One rank's part of a batch: its micro-batches and their results, combined with those of all other ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from penchant import ranks
from penchant.tokens import deal, pack
from penchant.training.task import Item, Metrics, Tally

__all__ = ["Part", "micro_batches_of"]


def micro_batches_of(batch: Sequence[Item], token_budget: int, *, share: bool) -> list[list[int]]:
    """The micro-batches of this rank, as indices; the same number on every rank, so some may be empty."""
    sequences = [item.sequences for item in batch]
    packed = [
        [[part[i] for i in indices] for indices in pack([sequences[i] for i in part], token_budget, share=share)]
        for part in deal(sequences, ranks.size())
    ]
    own = packed[ranks.rank()]
    return own + [[]] * (max(map(len, packed)) - len(own))


@dataclass
class Part:
    """The results of micro-batches. bad: indices of items with a non-finite loss. margins: see `StepResult`."""

    tally: Tally = field(default_factory=Tally)
    bad: list[int] = field(default_factory=list)
    margins: list[tuple[str, float]] = field(default_factory=list)
    num_tokens: int = 0

    def add(self, indices: Sequence[int], items: Sequence[Item], count: float, loss: Tensor, metrics: Metrics) -> None:
        """Add a micro-batch: the indices of its items, their summed loss, and its number of terms."""
        self.tally.add(loss, count, metrics)
        if not torch.isfinite(loss.detach()):
            self.bad += indices
        if (of_items := metrics.get("rewards/margins")) and of_items[0].shape == (len(items),):
            self.margins += zip((str(item.origin) for item in items), of_items[0].tolist(), strict=True)

    def of_all(self) -> Part:
        """The sum over all ranks."""
        if ranks.size() == 1:
            return self
        parts = ranks.gather([self.tally.as_dict(), self.bad, self.margins, self.num_tokens])
        tallies, bad, margins, num_tokens = zip(*parts, strict=True)
        return Part(
            Tally.together(tallies),
            [i for part in bad for i in part],
            [(origin, margin) for part in margins for origin, margin in part],
            sum(num_tokens),
        )

"""Best-of-n distillation: next-token training on the best of the policy's own responses to each prompt.

    loss = -log pi(y*|x),   y* = argmax of the score over n draws from pi(.|x)

(Stiennon et al. 2020, arXiv 2009.01325, section 4.3 on best of n; training on it is expert iteration. The KL of y* from
the policy that drew it is at most log n - (n - 1) / n.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from penchant.models.forward import score_forest
from penchant.models.language_model import LanguageModel
from penchant.online.config import RLHFConfig
from penchant.online.minibatches import minibatches
from penchant.online.undecided import seen_of
from penchant.online.writing import Writer, Written
from penchant.tokens import EncodedPrompt, Forest, TokenSequence
from penchant.training.task import Metrics, Task

__all__ = ["Best", "BestOfN", "best_of_n_kl_bound"]


@dataclass(frozen=True, eq=False)
class Best:
    """The best response to a prompt, with all of them; the first if several are best."""

    chosen: Written
    among: tuple[Written, ...]

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return self.chosen.sequences

    @property
    def origin(self) -> object:
        return self.chosen.origin


@dataclass
class BestOfN(Task[Best]):
    """Trains on the best response to each prompt, all tokens with equal weight. known: latest metrics."""

    config: RLHFConfig
    writer: Writer
    known: dict[str, float] = field(default_factory=dict)

    def updates(self, model: LanguageModel, drawn: Sequence[EncodedPrompt], step: int) -> Iterator[list[Best]]:
        parts = minibatches(
            self._best(self.writer.write(model, drawn, f"step {step}")),
            lambda item: item.chosen.group,
            self.config.sampling.minibatches,
        )
        for _ in range(self.config.sampling.passes):
            yield from parts

    def measured(self, model: LanguageModel, held_out: Sequence[EncodedPrompt]) -> list[Best]:
        return self._best(self.writer.write(model, held_out, "evaluation"))

    def count(self, item: Best) -> float:
        return float(item.chosen.sequence.scored.sum())

    def losses(self, model: LanguageModel, items: Sequence[Best]) -> tuple[Tensor, Metrics]:
        forest = Forest.plant([item.chosen.sequence for item in items], share=model.shares)
        loss = -score_forest(model, forest).sum()
        every = [one for item in items for one in item.among]
        columns = {
            "reward": [one.score for one in every],
            "reward_best": [item.chosen.score for item in items],
            "kl_bound": [best_of_n_kl_bound(len(item.among)) for item in items],
            "completions/mean_length": [float(one.sequence.scored.sum()) for one in every],
            "completions/clipped_ratio": [float(not one.ended) for one in every],
        }
        return loss, {name: (torch.tensor(values), float(len(values))) for name, values in columns.items()}

    def seen(self) -> Mapping[str, float]:
        return self.known

    def _best(self, written: Sequence[Written]) -> list[Best]:
        self.known = seen_of(written)
        groups: dict[int, list[Written]] = {}
        for one in written:
            groups.setdefault(one.group, []).append(one)
        return [Best(max(among, key=lambda one: one.reward), tuple(among)) for among in groups.values()]


def best_of_n_kl_bound(num: int) -> float:
    """The upper bound log n - (n - 1) / n of the KL, in nats, of the best of `num` samples from the policy.

    Example:
        >>> round(best_of_n_kl_bound(4), 3), best_of_n_kl_bound(1)
        (0.636, 0.0)
    """
    return math.log(num) - (num - 1) / num

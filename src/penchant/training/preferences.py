"""The training task of preference pairs. Shape suffixes: B pairs of a micro-batch, R responses (2B)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.models.forward import score_pairs
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.objectives import PairBatch, PairFunction, RunningRatio, implicit_rewards, preference_credit
from penchant.tokens import EncodedPair
from penchant.training.pair_gradients import measure_ratio
from penchant.training.task import Metrics, Task

__all__ = ["PreferenceTask"]

FELL = 0.01  # nats; less is rounding


@dataclass(frozen=True)
class PreferenceTask(Task[EncodedPair]):
    """A preference objective; reference: summed log-prob of every response by the sequence's key.

    wpo: whether pairs are weighted by their likelihood under the policy. live: the reference model, for an
    objective that reads its KL, see `score_pairs`. ratio: the ratio of a pair's two gradients, if it is measured.
    """

    objective: PairFunction
    beta: float
    reference: Mapping[bytes, float]
    wpo: bool = False
    live: LiveReference | None = None
    ratio: RunningRatio | None = None

    def reference_of(self, items: Sequence[EncodedPair]) -> Tensor:
        """Reference log-probs, chosen and rejected alternating, (R,)."""
        return torch.tensor([self.reference[s.key] for pair in items for s in pair.sequences])

    def batch_of(self, model: LanguageModel, items: Sequence[EncodedPair]) -> PairBatch:
        """The objective's inputs for these pairs."""
        return score_pairs(model, items, self.reference_of(items), wpo=self.wpo, live=self.live)

    def losses(self, model: LanguageModel, items: Sequence[EncodedPair]) -> tuple[Tensor, Metrics]:
        batch = self.batch_of(model, items)
        loss = self.loss(batch, items)
        with torch.no_grad():
            chosen_B, rejected_B = implicit_rewards(batch, self.beta)
            metrics = {
                "rewards/chosen": chosen_B,
                "rewards/rejected": rejected_B,
                "rewards/margins": chosen_B - rejected_B,
                "rewards/accuracies": preference_credit(chosen_B - rejected_B, batch.probability_B),
                "rewards/both_fell": (torch.maximum(chosen_B, rejected_B) < -FELL * self.beta).float(),
                "logps/chosen": batch.policy_chosen_B,
                "logps/rejected": batch.policy_rejected_B,
            }
            if self.live is not None:
                metrics["kl/chosen"], metrics["kl/rejected"] = batch.sequential_kl
            if self.ratio is not None and (ratio := self.ratio.value) is not None:
                metrics["band/ratio"] = torch.full_like(chosen_B, ratio)
            return loss, {name: (value_B, float(len(items))) for name, value_B in metrics.items()}

    def after_update(
        self, model: LanguageModel, items: Sequence[EncodedPair], parameters: Iterable[torch.nn.Parameter], step: int
    ) -> None:
        if self.ratio is not None:
            measure_ratio(self.ratio, lambda: self.batch_of(model, items[:1]), parameters, step, len(items))

    def state(self) -> dict[str, Tensor]:
        return {} if self.ratio is None else {"ratio": self.ratio.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        if self.ratio is not None and "ratio" in state:
            self.ratio.restore(state["ratio"])

    def loss(self, batch: PairBatch, items: Sequence[EncodedPair]) -> Tensor:
        """Summed loss of the items, whose inputs are in `batch`."""
        return (batch.weight_B * self.objective(batch)).sum()

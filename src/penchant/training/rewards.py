"""The training task of reward models on preference pairs. Shape suffixes: B pairs of a micro-batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from penchant.data.given import Data
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.models.reward_forward import rewards_of_sequences
from penchant.models.reward_model import RewardModel
from penchant.objectives import bradley_terry_loss, centring, preference_credit
from penchant.progress import Reporter
from penchant.tokens import EncodedPair
from penchant.training.config import RewardConfig
from penchant.training.dataset import Dataset, pair_dataset
from penchant.training.kept import tokens_folder
from penchant.training.task import Metrics, Task

__all__ = ["RewardTask", "Rewards"]


@dataclass(frozen=True)
class RewardTask(Task[EncodedPair]):
    """The likelihood of the preferences; centring: weight of the term that centres the rewards."""

    centring: float = 0.0

    def losses(self, model: LanguageModel, items: Sequence[EncodedPair]) -> tuple[Tensor, Metrics]:
        sequences = [sequence for pair in items for sequence in pair.sequences]
        chosen_B, rejected_B = rewards_of_sequences(cast(RewardModel, model), sequences).view(-1, 2).unbind(1)
        weight_B, probability_B, margin_B = chosen_B.new_tensor([(p.weight, p.probability, p.margin) for p in items]).T
        loss_B = bradley_terry_loss(chosen_B, rejected_B, probability_B, margin_B)
        if self.centring:
            loss_B = loss_B + self.centring * centring(chosen_B, rejected_B)
        with torch.no_grad():
            difference_B = chosen_B - rejected_B
            metrics = {
                "rewards/chosen": chosen_B.detach(),
                "rewards/rejected": rejected_B.detach(),
                "rewards/margins": difference_B,
                "rewards/brier": (torch.sigmoid(difference_B) - probability_B) ** 2,
                "rewards/accuracies": preference_credit(difference_B, probability_B),
            }
        return (weight_B * loss_B).sum(), {name: (value_B, float(len(items))) for name, value_B in metrics.items()}


@dataclass(frozen=True)
class Rewards:
    """The recipe of `penchant reward`."""

    centring: float
    command = "reward"
    beta = None
    needs_reference = False
    answers_as = "pairs"
    model_kind = RewardModel

    def usual_learning_rate(self, num_steps: int) -> float:
        return 1e-5

    def dataset(self, run: RewardConfig, data: Data, model: LanguageModel, reporter: Reporter) -> Dataset[Any]:
        return pair_dataset(run.data, data, model, run.seed, reporter, tokens_folder(run))

    def task(self, reference: Mapping[bytes, float], model: LanguageModel, live: LiveReference | None) -> Task[Any]:
        return RewardTask(self.centring)

    def group_of(self, item: EncodedPair) -> Hashable:
        return item.chosen.context

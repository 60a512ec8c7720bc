"""The training task of policy gradients: sample and score responses, compute advantages, take the clipped loss.

Shape suffixes: K scored tokens, R responses, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from penchant.errors import ConfigError
from penchant.models.forward import score_forest
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.models.states import score_with_states
from penchant.models.zero_head import zero_head
from penchant.objectives.kl_estimators import KL_ESTIMATORS, adapted_coefficient
from penchant.objectives.policy_gradient import policy_loss, token_weight, value_loss
from penchant.online.config import RLHFConfig
from penchant.online.minibatches import minibatches
from penchant.online.reference import live_logprobs, numbers_of_tokens
from penchant.online.undecided import seen_of
from penchant.online.worth import Weighed, joined, weigh
from penchant.online.writing import Writer, Written
from penchant.tokens import EncodedPrompt, Forest
from penchant.training.task import Metrics, Task

__all__ = ["PolicyGradient", "value_head"]


def value_head(model: LanguageModel) -> nn.Linear:
    """A linear head from hidden states to the value, initially 0. Raises ConfigError if there are no states."""
    if not model.shares:
        raise ConfigError(
            f"rlhf.method: ppo needs the hidden states of a model that shares prefixes, but {model.name} runs through "
            f"its own code ({model.why_unshared}); choose rloo or grpo"
        )
    return zero_head(int(model.head.weight.shape[1]), bias=True, device=model.numerics.device)


@dataclass
class PolicyGradient(Task[Weighed]):
    """RLOO, GRPO and PPO. beta: the current KL coefficient, which adapts if the settings have a kl_target.

    head: for PPO only. known: metrics of the latest samples. A step is completed or discarded, so no responses are kept
    between steps.
    """

    config: RLHFConfig
    writer: Writer
    live: LiveReference
    head: nn.Linear | None = None
    beta: float = field(init=False)
    known: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.beta = self.config.rlhf.beta

    def updates(self, model: LanguageModel, drawn: Sequence[EncodedPrompt], step: int) -> Iterator[list[Weighed]]:
        sampling = self.config.sampling
        items = self._weighed(model, self.writer.write(model, drawn, f"step {step}"))
        parts = minibatches(items, lambda item: item.written.group, sampling.minibatches)
        once = sampling.passes * len(parts) == 1
        for _ in range(sampling.passes):
            for part in parts:
                yield part if once else [replace(item, is_fresh=False) for item in part]
        if (target := self.config.rlhf.kl_target) is not None:
            kl = sum(item.kl for item in items) / len(items)
            self.beta = adapted_coefficient(self.beta, kl, target, gain=len(items) / self.config.rlhf.kl_horizon)

    def measured(self, model: LanguageModel, held_out: Sequence[EncodedPrompt]) -> list[Weighed]:
        return self._weighed(model, self.writer.write(model, held_out, "evaluation"))

    def seen(self) -> Mapping[str, float]:
        return self.known

    def parameters(self) -> Mapping[str, nn.Parameter]:
        return {} if self.head is None else {f"value_head.{name}": p for name, p in self.head.named_parameters()}

    def state(self) -> dict[str, Tensor]:
        return {"beta": torch.tensor([self.beta], dtype=torch.float64)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.beta = float(state["beta"])

    def count(self, item: Weighed) -> float:
        """The number of terms of the mean loss: responses, or tokens if every token has equal weight."""
        return float(len(item)) if self.config.rlhf.aggregated == "token" else 1.0

    def losses(self, model: LanguageModel, items: Sequence[Weighed]) -> tuple[Tensor, Metrics]:
        rlhf = self.config.rlhf
        forest = Forest.plant([item.written.sequence for item in items], share=model.shares)
        logp_K, value_K = self._scored(model, forest)
        owner_K = torch.from_numpy(forest.response_of_K).to(logp_K.device)
        is_fresh_K = joined([np.full(len(item), item.is_fresh) for item in items]).to(logp_K.device)
        old_K = joined([item.written.logprobs for item in items]).to(logp_K)
        old_K = torch.where(is_fresh_K, logp_K.detach(), old_K)
        advantage_K = joined([item.advantage for item in items]).to(logp_K)
        loss_K, clipped_K = policy_loss(logp_K, old_K, advantage_K, owner_K, clip=rlhf.clip, ratio=rlhf.ratio)
        if rlhf.charged_in == "loss" and self.beta:
            log_ratio_K = logp_K - joined([item.reference for item in items]).to(logp_K)
            loss_K = loss_K + self.beta * KL_ESTIMATORS[rlhf.estimator](log_ratio_K)
        num_tokens = float(len(logp_K))
        metrics = {
            **_known(items),
            "entropy": (-logp_K.detach(), num_tokens),
            "clip_ratio/region_mean": (clipped_K.float(), num_tokens),
            "beta": (torch.tensor(self.beta * len(items)), float(len(items))),
        }
        if value_K is not None:
            old_value_K = joined([item.value for item in items]).to(value_K)
            outcome_K = joined([item.outcome for item in items]).to(value_K)
            value_loss_K = value_loss(value_K, old_value_K, outcome_K, clip=rlhf.value_clip)
            loss_K = loss_K + rlhf.value_weight * value_loss_K
            metrics["loss/value"] = value_loss_K.detach(), num_tokens
        return (loss_K * self._weight_of(items).to(logp_K)[owner_K]).sum(), metrics

    def _scored(self, model: LanguageModel, forest: Forest) -> tuple[Tensor, Tensor | None]:
        """Log-probs, and values if there is a head, (K,) each."""
        if self.head is None:
            return score_forest(model, forest), None
        logp_K, hidden_KH = score_with_states(model, forest)
        return logp_K, self.head(hidden_KH.float())[:, 0]

    def _weighed(self, model: LanguageModel, written: Sequence[Written]) -> list[Weighed]:
        budget, rlhf = self.config.optimiser.token_budget, self.config.rlhf
        self.known = seen_of(written, by_prompt=rlhf.method != "ppo" and rlhf.advantages is None)
        references = live_logprobs(self.live, model, [one.sequence for one in written], budget)
        values = self._values(model, written, budget)
        return weigh(written, references, values, rlhf, self.beta)

    def _values(self, model: LanguageModel, written: Sequence[Written], budget: int) -> list[NDArray[np.float64]]:
        """The value at every token; 0 without a value head."""
        if self.head is None:
            return [np.zeros(len(one.logprobs)) for one in written]

        def values(forest: Forest) -> Tensor:
            _, value_K = self._scored(model, forest)
            assert value_K is not None, "there is a head"
            return value_K

        return numbers_of_tokens([one.sequence for one in written], values, token_budget=budget, share=model.shares)

    def _weight_of(self, items: Sequence[Weighed]) -> Tensor:
        """The token weight of each response, (R,); the loop divides by the terms of the whole batch."""
        aggregated = self.config.rlhf.aggregated
        if aggregated == "token":
            return torch.ones(len(items))
        lengths_R = torch.tensor([len(item) for item in items])
        return token_weight(lengths_R, aggregated, max_length=self.config.sampling.max_new_tokens, num_responses=1)


def _known(items: Sequence[Weighed]) -> dict[str, tuple[Tensor, float]]:
    """Metrics of sampled responses, by TRL's names."""
    columns = {
        "reward": [item.written.score for item in items],
        "reward_std": [item.spread for item in items],
        "frac_reward_zero_std": [float(item.spread == 0) for item in items],
        "kl": [item.kl for item in items],
        "completions/mean_length": [float(len(item)) for item in items],
        "completions/clipped_ratio": [float(not item.written.ended) for item in items],
    }
    return {name: (torch.tensor(values, dtype=torch.float64), float(len(items))) for name, values in columns.items()}

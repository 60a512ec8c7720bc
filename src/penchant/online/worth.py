"""Compute the advantage of each token of a step's responses: scores, the cost of KL, and a baseline.

Shape suffixes: K scored tokens, R responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.objectives import bind_estimator, sum_by_response
from penchant.objectives.advantages import (
    generalised_advantages,
    grpo_advantages,
    rloo_advantages,
    token_rewards,
    whitened,
)
from penchant.objectives.kl_estimators import KL_ESTIMATORS
from penchant.online.config import MethodConfig
from penchant.online.writing import Written
from penchant.tokens import TokenSequence

__all__ = ["Weighed", "joined", "weigh"]


@dataclass(frozen=True, eq=False)
class Weighed:
    """A response with its per-token quantities.

    reference, advantage: (n,). value: (n,), the estimate at each token, 0 without an estimator. outcome: (n,), the
    target for the value. spread: standard deviation of the scores of its prompt. is_fresh: sampled from the current
    policy, so that ratios are 1.
    """

    written: Written
    reference: NDArray[np.float64]
    advantage: NDArray[np.float64]
    value: NDArray[np.float64]
    outcome: NDArray[np.float64]
    spread: float
    is_fresh: bool = True

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return self.written.sequences

    @property
    def origin(self) -> object:
        return self.written.origin

    @property
    def kl(self) -> float:
        """log pi - log pi_ref of the response when sampled: an unbiased estimate of the KL, in nats."""
        return float((self.written.logprobs - self.reference).sum())

    def __len__(self) -> int:
        return len(self.advantage)


def weigh(
    written: Sequence[Written],
    references: Sequence[NDArray[np.float64]],
    values: Sequence[NDArray[np.float64]],
    rlhf: MethodConfig,
    beta: float,
) -> list[Weighed]:
    """The responses of a step, with advantages for their tokens; all responses to a prompt must be included."""
    lengths = [len(one.logprobs) for one in written]
    owner_K = torch.from_numpy(np.repeat(np.arange(len(written)), lengths))
    group_R = torch.tensor([one.group for one in written])
    score_R = torch.tensor([one.reward for one in written], dtype=torch.float64)
    log_ratio_K = joined([one.logprobs for one in written]) - joined(references)
    penalty_K = torch.zeros_like(log_ratio_K)
    if rlhf.charged_in == "reward":
        penalty_K = beta * KL_ESTIMATORS[rlhf.estimator](log_ratio_K)
    total_R = score_R - sum_by_response(penalty_K, owner_K, len(written))
    reward_K = token_rewards(score_R, penalty_K, owner_K)
    if rlhf.charged_by == "sequence":
        reward_K = token_rewards(total_R, torch.zeros_like(penalty_K), owner_K)
    if rlhf.method == "ppo":
        advantage_K = generalised_advantages(reward_K, joined(values), owner_K, gamma=rlhf.gamma, lam=rlhf.lam)
    elif rlhf.advantages is not None:
        advantage_K = bind_estimator(rlhf.advantages)(total_R, group_R)[owner_K]
    elif rlhf.method == "grpo":
        advantage_K = grpo_advantages(total_R, group_R, scale=rlhf.scale_rewards)[owner_K]
    else:
        to_come_K = generalised_advantages(reward_K, torch.zeros_like(reward_K), owner_K, lam=1.0)
        advantage_K = to_come_K - (total_R - rloo_advantages(total_R, group_R))[owner_K]
    outcome_K = joined(values) + advantage_K
    if rlhf.whitens:
        advantage_K = whitened(advantage_K)
    advantages, outcomes = (np.split(one.numpy(), np.cumsum(lengths)[:-1]) for one in (advantage_K, outcome_K))
    spread_R = _spread(score_R, group_R)
    return [
        Weighed(*facts)
        for facts in zip(written, references, advantages, values, outcomes, spread_R.tolist(), strict=True)
    ]


def joined(parts: Sequence[NDArray[np.float64]]) -> Tensor:
    """Concatenate per-token numbers over responses, (K,)."""
    return torch.from_numpy(np.concatenate(parts))


def _spread(score_R: Tensor, group_R: Tensor) -> Tensor:
    """Standard deviation of the scores of each response's prompt; 0 for a single response, (R,)."""
    spread_R = torch.zeros_like(score_R)
    for group in group_R.unique():
        inside = group_R == group
        spread_R[inside] = score_R[inside].std(correction=1) if int(inside.sum()) > 1 else 0.0
    return spread_R

"""Learning from samples in a world whose optimum is known: RLOO, GRPO, PPO, best-of-n distillation, online DPO.

Shapes: N prefixes, V tokens, Y sequences of a tree; R responses of a step, K their tokens, B pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from penchant.lab.exact import optimal_policy
from penchant.lab.policy_gradients import TokensOf
from penchant.lab.tree import TokenTree
from penchant.objectives import (
    PairBatch,
    bind,
    bind_estimator,
    generalised_advantages,
    k3,
    policy_loss,
    sum_by_response,
    token_rewards,
    token_weight,
    value_loss,
)

__all__ = ["METHODS", "Learner", "Problem", "learn"]

NUM_GROUPS, GROUP = 48, 4
NUM_BEST = 2000  # of a step of best-of-n: a chosen response gives no signal about the others
NUM_EPOCHS = 3  # of PPO on the same responses
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class Problem:
    """A learning problem with optimum pi_ref(y) exp(R(y) / beta) / Z over the sequences of a tree, for one prompt.

    Args:
        tree: the responses; with a depth of 1 they are the arms of a bandit.
        reference_NV: logits of pi_ref.
        reward_Y: R of each sequence.
        beta: strength of the pull to the reference, > 0.
    """

    tree: TokenTree
    reference_NV: Tensor
    reward_Y: Tensor
    beta: float

    @classmethod
    def random(cls, num_tokens: int, depth: int, beta: float, seed: int) -> Problem:
        """Reference logits and rewards are independent standard normal numbers.

        Example:
            >>> from penchant.lab import Problem
            >>> Problem.random(num_tokens=4, depth=1, beta=1.0, seed=0).optimum_Y.shape
            torch.Size([4])
        """
        tree, generator = TokenTree(num_tokens, depth), torch.Generator().manual_seed(seed)
        logits_NV = torch.randn(len(tree.prefixes), num_tokens, dtype=torch.float64, generator=generator)
        reward_Y = torch.randn(len(tree.sequences), dtype=torch.float64, generator=generator)
        return cls(tree, logits_NV, reward_Y, beta)

    @property
    def reference_Y(self) -> Tensor:
        """pi_ref of every sequence."""
        return self.policy(self.reference_NV)

    @property
    def optimum_Y(self) -> Tensor:
        """The optimal policy for E[R] - beta KL, in closed form."""
        return optimal_policy(self.reference_Y[None], self.reward_Y[None], self.beta)[0]

    def policy(self, logits_NV: Tensor) -> Tensor:
        """The probability of every sequence, shape (Y,)."""
        return self.tree.log_probs(logits_NV[None])[0].exp()


@dataclass(frozen=True)
class Learner:
    """A policy and a value per prefix, both trainable."""

    problem: Problem
    logits_NV: Tensor
    value_N: Tensor
    generator: torch.Generator

    def sample(self, num: int, logits_NV: Tensor | None = None) -> Tensor:
        """Sequences drawn from the policy, or from other logits, int64 of shape (num,)."""
        policy_Y = self.problem.policy(self.logits_NV if logits_NV is None else logits_NV).detach()
        return torch.multinomial(policy_Y, num, replacement=True, generator=self.generator)

    def log_ratios(self, written: TokensOf) -> Tensor:
        """log pi - log pi_ref of every token."""
        return written.logprobs(self.logits_NV) - written.logprobs(self.problem.reference_NV)


Method = Callable[[Learner], Iterator[Tensor]]
"""Samples, and yields losses; the caller takes an optimiser step on each before resuming."""


def _policy_gradient(estimator: str, *, kl_in_loss: bool = False) -> Method:
    advantages = bind_estimator(estimator)

    def method(learner: Learner) -> Iterator[Tensor]:
        problem, group_R = learner.problem, torch.arange(NUM_GROUPS).repeat_interleave(GROUP)
        sequence_R = learner.sample(len(group_R))
        written = TokensOf(problem.tree, sequence_R)
        owner_K, reward_R = written.response_of_K, problem.reward_Y[sequence_R]
        log_ratio_K = learner.log_ratios(written)
        if not kl_in_loss:
            reward_R = reward_R - problem.beta * sum_by_response(log_ratio_K.detach(), owner_K, len(group_R))
        logprob_K = written.logprobs(learner.logits_NV)
        loss_K, _ = policy_loss(logprob_K, logprob_K, advantages(reward_R, group_R)[owner_K], owner_K)
        if kl_in_loss:
            loss_K = loss_K + problem.beta * k3(log_ratio_K)
        yield (token_weight(written.length_R, "sum")[owner_K] * loss_K).sum()

    return method


def _ppo(learner: Learner) -> Iterator[Tensor]:
    problem, num = learner.problem, NUM_GROUPS * GROUP
    sequence_R = learner.sample(num)
    written = TokensOf(problem.tree, sequence_R)
    owner_K, weight_K = written.response_of_K, token_weight(written.length_R, "sum")[written.response_of_K]
    old_K, old_value_K = written.logprobs(learner.logits_NV).detach(), learner.value_N[written.prefix_K].detach()
    reward_K = token_rewards(problem.reward_Y[sequence_R], problem.beta * learner.log_ratios(written), owner_K)
    advantage_K = generalised_advantages(reward_K, old_value_K, owner_K)
    return_K = advantage_K + old_value_K
    for _ in range(NUM_EPOCHS):
        loss_K, _ = policy_loss(written.logprobs(learner.logits_NV), old_K, advantage_K, owner_K)
        error_K = value_loss(learner.value_N[written.prefix_K], old_value_K, return_K)
        yield (weight_K * (loss_K + error_K)).sum()


def _best_of_n(learner: Learner) -> Iterator[Tensor]:
    problem = learner.problem
    sequence_GS = learner.sample(NUM_BEST * GROUP, problem.reference_NV).reshape(NUM_BEST, GROUP)
    best_G = problem.reward_Y[sequence_GS].argmax(1, keepdim=True)
    written = TokensOf(problem.tree, sequence_GS.gather(1, best_G)[:, 0])
    yield -written.logprobs(learner.logits_NV).sum() / NUM_BEST


def _online_dpo(learner: Learner) -> Iterator[Tensor]:
    problem, num_pairs = learner.problem, NUM_GROUPS * GROUP // 2
    sequence_R = learner.sample(2 * num_pairs)
    written = TokensOf(problem.tree, sequence_R)
    policy_2B, reference_2B = (
        sum_by_response(written.logprobs(logits), written.response_of_K, 2 * num_pairs).reshape(2, -1)
        for logits in (learner.logits_NV, problem.reference_NV)
    )
    reward_2B, length_2B = problem.reward_Y[sequence_R].reshape(2, -1), written.length_R.double().reshape(2, -1)
    pairs = replace(
        PairBatch.hard(*policy_2B, *reference_2B, *length_2B), probability_B=torch.sigmoid(reward_2B[0] - reward_2B[1])
    )
    yield bind("dpo", beta=problem.beta)(pairs).mean() / problem.beta


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "RLOO": _policy_gradient("rloo"),
        "GRPO": _policy_gradient("grpo"),
        "GRPO with k3 in the loss": _policy_gradient("grpo", kl_in_loss=True),
        "PPO": _ppo,
        "online DPO": _online_dpo,
        "best-of-n distillation": _best_of_n,
    }
)
"""Methods by name. The KL is in the reward (k1) unless the name says otherwise; best-of-n has none."""


def learn(problem: Problem, method: str, *, steps: Sequence[int], seed: int = 0) -> list[Tensor]:
    """Learn from samples, with Adam and a learning rate decaying to 0, starting at the reference.

    Args:
        problem: the world.
        method: a name in METHODS.
        steps: numbers of steps, of 192 responses each, after which to record, ascending; at the last the rate is 0.
        seed: of the samples.

    Returns:
        The policy at each of these steps, shape (Y,).

    Example:
        >>> from penchant.lab import Problem, learn
        >>> problem = Problem.random(num_tokens=3, depth=1, beta=1.0, seed=0)
        >>> (found_Y,) = learn(problem, "RLOO", steps=[100])
        >>> bool((found_Y - problem.optimum_Y).abs().max() < 0.01)
        True
    """
    logits_NV = problem.reference_NV.clone().requires_grad_()
    value_N = torch.zeros(len(logits_NV), dtype=torch.float64, requires_grad=True)
    learner = Learner(problem, logits_NV, value_N, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.Adam([logits_NV, value_N], lr=LEARNING_RATE, betas=(0.9, 0.99))
    found = []
    for step in range(steps[-1]):
        if step in steps:
            found.append(problem.policy(logits_NV).detach())
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps[-1])
        for loss in METHODS[method](learner):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return [*found, problem.policy(logits_NV).detach()]

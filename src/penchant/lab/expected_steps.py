"""PPO and online DPO by enumeration: their mean gradients over all possible samples of a small policy.

Shapes: N prefixes, V tokens, Y sequences of a tree; G groups of S samples, R = G S responses, K their tokens, B pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from penchant.lab.learning import Problem
from penchant.lab.policy_gradients import TokensOf
from penchant.objectives import (
    Aggregation,
    PairBatch,
    bind,
    generalised_advantages,
    policy_loss,
    token_rewards,
    token_weight,
    whitened,
)

__all__ = ["PPOStep", "exact_values", "expected_pair_gradient", "expected_ppo_gradient"]


@dataclass(frozen=True)
class PPOStep:
    """How PPO computes an update from a group of responses; the KL is k1 per token, in the reward.

    Args:
        value_N: V of every prefix; None: 0.
        lam: lambda of the generalised advantages.
        whiten: whether the advantages of a group's tokens are whitened.
        aggregation: the token weights; see `penchant.objectives.token_weight`.
        clip: the distance of a ratio from 1 beyond which its gradient is cut.
        num_samples: S, responses in a group.
    """

    value_N: Tensor | None = None
    lam: float = 1.0
    whiten: bool = False
    aggregation: Aggregation = "sum"
    clip: float = 0.2
    num_samples: int = 1


def exact_values(problem: Problem, logits_NV: Tensor) -> Tensor:
    """V(prefix) = E[R - beta sum of log(p / p_ref) over the remaining tokens | prefix].

    Args:
        problem: the world.
        logits_NV: of the policy.

    Returns:
        Tensor of shape (N,).

    Example:
        >>> import torch
        >>> from penchant.lab import Problem, TokenTree, exact_values
        >>> start = torch.zeros(1, 2, dtype=torch.float64)
        >>> exact_values(Problem(TokenTree(2, 1), start, torch.tensor([1.0, 0.0]), beta=0.1), start)
        tensor([0.5000], dtype=torch.float64)
    """
    written = TokensOf(problem.tree, torch.arange(len(problem.tree.sequences)))
    none_K = logits_NV.new_zeros(len(written.token_K))
    reward_K = _token_rewards(problem, logits_NV, written)
    to_come_K = generalised_advantages(reward_K, none_K, written.response_of_K, lam=1.0)
    chance_K = problem.policy(logits_NV)[written.response_of_K]
    none_N = logits_NV.new_zeros(len(logits_NV))
    mass_N = none_N.index_add(0, written.prefix_K, chance_K)
    return none_N.index_add(0, written.prefix_K, chance_K * to_come_K) / mass_N


def expected_ppo_gradient(
    problem: Problem, logits_NV: Tensor, step: PPOStep, *, old_logits_NV: Tensor | None = None
) -> Tensor:
    """The mean of minus the gradient of PPO's policy loss, over all Y^S groups that the old policy may sample.

    At the first step on new responses the policy equals the old one, and every ratio is 1. Later it does not: the
    advantages, including their KL, remain those of the old policy, and ratios are clipped.

    Args:
        problem: the world.
        logits_NV: of the policy.
        step: how an update is computed from a group.
        old_logits_NV: logits of the sampling policy; None: `logits_NV`.

    Returns:
        Tensor of shape (N, V).

    Example:
        >>> import torch
        >>> from penchant.lab import PPOStep, Problem, TokenTree, expected_ppo_gradient
        >>> start = torch.zeros(1, 2, dtype=torch.float64)
        >>> expected_ppo_gradient(Problem(TokenTree(2, 1), start, torch.tensor([1.0, 0.0]), 0.1), start, PPOStep())
        tensor([[ 0.2500, -0.2500]], dtype=torch.float64)

    Reference:
        Proximal Policy Optimization Algorithms, arXiv 1707.06347, eq. 7; High-Dimensional Continuous Control Using
        Generalized Advantage Estimation, arXiv 1506.02438, section 3.
    """
    tree, size, old_NV = problem.tree, step.num_samples, logits_NV if old_logits_NV is None else old_logits_NV
    group_GS = torch.cartesian_prod(*[torch.arange(len(tree.sequences))] * size).reshape(-1, size)
    written = TokensOf(tree, group_GS.flatten())
    owner_K = written.response_of_K
    value_N = logits_NV.new_zeros(len(logits_NV)) if step.value_N is None else step.value_N
    reward_K = _token_rewards(problem, old_NV, written, group_GS.flatten())
    advantage_K = generalised_advantages(reward_K, value_N[written.prefix_K], owner_K, lam=step.lam)
    if step.whiten:
        num_G = written.length_R.reshape(-1, size).sum(1).tolist()
        advantage_K = torch.cat([whitened(of_group_K) for of_group_K in advantage_K.split(num_G)])

    logits_NV = logits_NV.detach().requires_grad_()
    old_K = written.logprobs(old_NV)
    loss_K, _ = policy_loss(written.logprobs(logits_NV), old_K, advantage_K, owner_K, clip=step.clip)
    chance_G = problem.policy(old_NV)[group_GS].prod(1)
    length_GS = written.length_R.to(reward_K.dtype).reshape(-1, size)
    weight_GS = torch.stack([token_weight(length_S, step.aggregation, max_length=tree.depth) for length_S in length_GS])
    weight_R = (chance_G[:, None] * weight_GS).flatten()
    (gradient_NV,) = torch.autograd.grad((weight_R[owner_K] * loss_K).sum(), logits_NV)
    return -gradient_NV


def expected_pair_gradient(
    problem: Problem, logits_NV: Tensor, label: Callable[[Tensor], Tensor] = torch.sigmoid
) -> Tensor:
    """The mean of minus the gradient of online DPO's loss over beta, over all Y^2 pairs that the policy may sample.

    It is E[(P(1 wins) - sigmoid(beta (s_1 - s_2))) grad (log pi(1) - log pi(2))] with s = log(pi / pi_ref): zero if
    beta s equals the reward up to a constant, and to first order in the gaps half the gradient of E[R] - beta KL.

    Args:
        problem: the world.
        logits_NV: logits of the policy, which samples both responses of a pair, without a gradient through sampling.
        label: P(1 wins) from the gap of the rewards, (B,) -> (B,); default: Bradley-Terry's.

    Returns:
        Tensor of shape (N, V).

    Example:
        >>> import torch
        >>> from penchant.lab import Problem, TokenTree, expected_pair_gradient
        >>> start = torch.zeros(1, 2, dtype=torch.float64)
        >>> expected_pair_gradient(Problem(TokenTree(2, 1), start, torch.tensor([1.0, 0.0]), 0.1), start)
        tensor([[ 0.1155, -0.1155]], dtype=torch.float64)

    Reference:
        Direct Language Model Alignment from Online AI Feedback, arXiv 2402.04792, section 3.
    """
    first_B, second_B = torch.cartesian_prod(*[torch.arange(len(problem.tree.sequences))] * 2).unbind(1)
    logits_NV = logits_NV.detach().requires_grad_()
    policy_Y, reference_Y = (problem.tree.log_probs(one_NV[None])[0] for one_NV in (logits_NV, problem.reference_NV))
    chance_B = (policy_Y[first_B] + policy_Y[second_B]).detach().exp()
    sides = [of_Y[side_B] for of_Y in (policy_Y, reference_Y, problem.tree.length_Y) for side_B in (first_B, second_B)]
    gap_B = problem.reward_Y[first_B] - problem.reward_Y[second_B]
    pairs = replace(PairBatch.hard(*sides), probability_B=label(gap_B))
    loss = (chance_B * bind("dpo", beta=problem.beta)(pairs)).sum() / problem.beta
    (gradient_NV,) = torch.autograd.grad(loss, logits_NV)
    return -gradient_NV


def _token_rewards(problem: Problem, logits_NV: Tensor, written: TokensOf, sequence_R: Tensor | None = None) -> Tensor:
    """The reward of every token: -beta log(p / p_ref), plus the response's reward on its last token."""
    reward_R = problem.reward_Y if sequence_R is None else problem.reward_Y[sequence_R]
    charge_K = problem.beta * (written.logprobs(logits_NV) - written.logprobs(problem.reference_NV))
    return token_rewards(reward_R, charge_K, written.response_of_K)

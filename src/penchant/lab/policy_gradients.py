"""Policy gradients by enumeration: their mean over all possible samples of a small policy, and the exact gradient.

Shapes: N prefixes, V tokens, Y sequences of a tree; G groups of S samples, R = G S responses, K their tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from penchant.lab.tree import TokenTree
from penchant.objectives import (
    KL_ESTIMATORS,
    Aggregation,
    bind_estimator,
    policy_loss,
    sum_by_response,
    token_weight,
)

__all__ = ["Recipe", "TokensOf", "exact_gradient", "expected_gradient"]


@dataclass(frozen=True)
class Recipe:
    """How an update is computed from a group of samples.

    Args:
        advantages: (reward_R, group_R) -> advantages (R,).
        num_samples: S, responses per prompt.
        kl: the one of KL_ESTIMATORS used.
        kl_in: whether it is subtracted from the reward, without a gradient, or added to the loss.
        kl_of: whether it is computed from the whole response's log-ratio, or summed over tokens.
        aggregation: the token weights; see `penchant.objectives.token_weight`.
    """

    advantages: Callable[[Tensor, Tensor], Tensor] = field(default_factory=lambda: bind_estimator("rloo"))
    num_samples: int = 2
    kl: str = "k1"
    kl_in: Literal["reward", "loss"] = "reward"
    kl_of: Literal["response", "token"] = "response"
    aggregation: Aggregation = "sum"


class TokensOf:
    """The concatenated tokens of some sequences of a tree.

    Args:
        tree: the tree.
        sequence_R: indices of its sequences, int64; they may repeat.

    Example:
        >>> import torch
        >>> from penchant.lab import TokenTree
        >>> from penchant.lab.policy_gradients import TokensOf
        >>> written = TokensOf(TokenTree(num_tokens=2, depth=2), torch.tensor([2, 0]))
        >>> written.response_of_K, written.logprobs(torch.zeros(2, 2)).exp()
        (tensor([0, 0, 1]), tensor([0.5000, 0.5000, 0.5000]))
    """

    def __init__(self, tree: TokenTree, sequence_R: Tensor) -> None:
        places_RT2 = tree.places_YT2[sequence_R]
        is_token_RT = places_RT2[:, :, 1] >= 0
        response_RT = torch.arange(len(sequence_R))[:, None].expand_as(is_token_RT)
        self.length_R = is_token_RT.sum(1)
        self.response_of_K = response_RT[is_token_RT]
        self.prefix_K, self.token_K = places_RT2[is_token_RT].unbind(1)

    def logprobs(self, logits_NV: Tensor) -> Tensor:
        """log p of each token after its prefix, shape (K,); differentiable."""
        return torch.log_softmax(logits_NV, dim=1)[self.prefix_K, self.token_K]


def exact_gradient(tree: TokenTree, logits_NV: Tensor, reference_NV: Tensor, reward_Y: Tensor, beta: float) -> Tensor:
    """The gradient of E[R] - beta KL(pi || pi_ref) in the logits: a sum over every sequence.

    Args:
        tree: of one prompt.
        logits_NV: of the policy.
        reference_NV: logits of pi_ref.
        reward_Y: R of each sequence.
        beta: strength of the pull to the reference, at least 0.

    Returns:
        Tensor of shape (N, V).

    Example:
        >>> import torch
        >>> from penchant.lab import TokenTree, exact_gradient
        >>> start = torch.zeros(1, 2)  # two responses of one token, as likely as each other
        >>> exact_gradient(TokenTree(num_tokens=2, depth=1), start, start, torch.tensor([1.0, 0.0]), beta=0.1)
        tensor([[ 0.2500, -0.2500]])
    """
    logits_NV = logits_NV.detach().requires_grad_()
    log_policy_Y = _log_probs(tree, logits_NV)
    regularised_Y = reward_Y - beta * (log_policy_Y - _log_probs(tree, reference_NV))
    (gradient_NV,) = torch.autograd.grad((log_policy_Y.exp() * regularised_Y).sum(), logits_NV)
    return gradient_NV


def expected_gradient(
    tree: TokenTree, logits_NV: Tensor, reference_NV: Tensor, reward_Y: Tensor, beta: float, recipe: Recipe
) -> Tensor:
    """The mean gradient of `policy_loss` over all Y^S groups that the policy may sample.

    It averages minus the gradient of the loss, for comparison with `exact_gradient`, with the same arguments.
    Every group is its own batch.

    Args:
        recipe: how an update is computed from a group.

    Returns:
        Tensor of shape (N, V).

    Example:
        >>> import torch
        >>> from penchant.lab import Recipe, TokenTree, expected_gradient
        >>> start = torch.zeros(1, 2)
        >>> reward_Y = torch.tensor([1.0, 0.0])
        >>> expected_gradient(TokenTree(num_tokens=2, depth=1), start, start, reward_Y, 0.1, Recipe())
        tensor([[ 0.2500, -0.2500]])
    """
    num_sequences, size = len(tree.sequences), recipe.num_samples
    group_GS = torch.cartesian_prod(*[torch.arange(num_sequences)] * size).reshape(-1, size)
    written = TokensOf(tree, group_GS.flatten())
    owner_K, num_responses = written.response_of_K, group_GS.numel()

    logits_NV = logits_NV.detach().requires_grad_()
    logprob_K = written.logprobs(logits_NV)
    charge_K = beta * _charges(logprob_K - written.logprobs(reference_NV), written, recipe)
    chance_G = sum_by_response(logprob_K, owner_K, num_responses).detach().reshape(-1, size).sum(1).exp()

    reward_R = reward_Y[group_GS.flatten()]
    if recipe.kl_in == "reward":
        reward_R = reward_R - sum_by_response(charge_K.detach(), owner_K, num_responses)
    together = torch.zeros(size, dtype=torch.int64)
    advantage_R = torch.cat([recipe.advantages(reward_S, together) for reward_S in reward_R.reshape(-1, size)])
    loss_K, _ = policy_loss(logprob_K, logprob_K, advantage_R[owner_K], owner_K)
    if recipe.kl_in == "loss":
        loss_K = loss_K + charge_K
    length_GS = written.length_R.to(reward_Y.dtype).reshape(-1, size)
    weight_GS = torch.stack(
        [token_weight(length_S, recipe.aggregation, max_length=tree.depth) for length_S in length_GS]
    )
    weight_R = (chance_G[:, None] * weight_GS).flatten()
    (gradient_NV,) = torch.autograd.grad((weight_R[owner_K] * loss_K).sum(), logits_NV)
    return -gradient_NV


def _charges(log_ratio_K: Tensor, written: TokensOf, recipe: Recipe) -> Tensor:
    """The KL estimate of every token; that of a whole response is divided over its tokens."""
    estimate = KL_ESTIMATORS[recipe.kl]
    if recipe.kl_of == "token":
        return estimate(log_ratio_K)
    whole_R = estimate(sum_by_response(log_ratio_K, written.response_of_K, len(written.length_R)))
    return (whole_R / written.length_R)[written.response_of_K]


def _log_probs(tree: TokenTree, logits_NV: Tensor) -> Tensor:
    """log pi of every sequence, shape (Y,)."""
    steps_NVY = tree.steps_NVY.to(logits_NV.dtype)
    return torch.einsum("nv,nvy->y", torch.log_softmax(logits_NV, dim=1), steps_NVY)

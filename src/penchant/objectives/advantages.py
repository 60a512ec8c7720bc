"""Compute advantages from rewards: how much better than expected a response, or a token of it, was.

Shapes: R responses in any order, K tokens of these responses.
"""

import torch
from torch import Tensor

from penchant.objectives.sequence import sum_by_response

__all__ = [
    "generalised_advantages",
    "grpo_advantages",
    "rloo_advantages",
    "shaped_rewards",
    "token_rewards",
    "whitened",
]


def rloo_advantages(reward_R: Tensor, group_R: Tensor) -> Tensor:
    """A_i = r_i - mean of r_j over the other responses j to the same prompt.

    The baseline does not depend on the response it is subtracted from, so the gradient mean(A_i grad log pi(y_i)) is
    unbiased, with less variance than without a baseline.

    Args:
        reward_R: the reward of each response, shape (R,), with any KL penalty already subtracted.
        group_R: the prompt of each response, int64 from 0, shape (R,); at least two responses per prompt.

    Returns:
        Tensor of shape (R,); each group sums to 0.

    Raises:
        ValueError: a prompt has only one response.

    Example:
        >>> import torch
        >>> from penchant.objectives import rloo_advantages
        >>> rloo_advantages(torch.tensor([1.0, 0.0, 5.0, 0.0, 3.0]), torch.tensor([0, 0, 1, 0, 1]))
        tensor([ 1.0000, -0.5000,  2.0000, -0.5000, -2.0000])

    Reference:
        Buy 4 REINFORCE Samples, Get a Baseline for Free!, Kool, van Hoof and Welling 2019; Back to Basics: Revisiting
        REINFORCE Style Optimization, arXiv 2402.14740, the RLOO estimator.
    """
    num_R, mean_R = _size_and_mean(reward_R, group_R)
    return (reward_R - mean_R) * num_R / (num_R - 1)


def grpo_advantages(reward_R: Tensor, group_R: Tensor, *, scale: bool = True, epsilon: float = 1e-4) -> Tensor:
    """A_i = (r_i - mean(r)) / (std(r) + epsilon) over the responses to the same prompt; without `scale`, r_i - mean(r).

    The mean includes r_i, which scales the gradient of G responses by (G - 1) / G and keeps its direction. The division
    by std changes the direction: a prompt whose rewards hardly differ counts as much as any other.

    Args:
        reward_R: the reward of each response, shape (R,).
        group_R: the prompt of each response, int64 from 0, shape (R,); at least two responses per prompt.
        scale: whether to divide by the standard deviation (denominator G - 1); Dr. GRPO does not.
        epsilon: added to the standard deviation, > 0, so that equal rewards give 0.

    Returns:
        Tensor of shape (R,); each group sums to 0.

    Raises:
        ValueError: a prompt has only one response.

    Example:
        >>> import torch
        >>> from penchant.objectives import grpo_advantages
        >>> reward_R, group_R = torch.tensor([1.0, 0.0, 5.0, 3.0]), torch.tensor([0, 0, 1, 1])
        >>> grpo_advantages(reward_R, group_R, scale=False)
        tensor([ 0.5000, -0.5000,  1.0000, -1.0000])
        >>> grpo_advantages(reward_R, group_R)
        tensor([ 0.7070, -0.7070,  0.7071, -0.7071])

    Reference:
        DeepSeekMath, arXiv 2402.03300, section 4.1.2; Understanding R1-Zero-Like Training (Dr. GRPO), arXiv
        2503.20783, section 3.
    """
    num_R, mean_R = _size_and_mean(reward_R, group_R)
    centred_R = reward_R - mean_R
    if not scale:
        return centred_R
    _, variance_R = _size_and_mean(centred_R**2, group_R)
    return centred_R / ((variance_R * num_R / (num_R - 1)).sqrt() + epsilon)


def generalised_advantages(
    reward_K: Tensor, value_K: Tensor, response_of_K: Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> Tensor:
    """A_t = sum over l of (gamma lam)^l d_(t+l), with d_t = r_t + gamma V_(t+1) - V_t and V = 0 after the last token.

    lam = 1 is the reward-to-go less V_t: unbiased for any V; lam = 0 is d_t, which relies on V. With V = 0 and
    gamma = lam = 1 it is the reward-to-go of each token. The target for V is A_t + V_t.

    Args:
        reward_K: the reward on each token, as returned by `token_rewards`.
        value_K: V before each token was chosen. No gradient flows through it.
        response_of_K: the response of each token, int64 in [0, R), shape (K,); the tokens of a response are in order,
            but tokens of other responses may be between them.
        gamma: the discount per token, in (0, 1].
        lam: lambda, in [0, 1].

    Returns:
        Tensor of shape (K,), without a gradient.

    Example:
        >>> import torch
        >>> from penchant.objectives import generalised_advantages
        >>> reward_K, response_of_K = torch.tensor([0.0, 0.0, 1.0, 4.0]), torch.tensor([0, 0, 0, 1])
        >>> generalised_advantages(reward_K, torch.tensor([0.5, 0.5, 0.5, 1.0]), response_of_K, lam=0.5)
        tensor([0.1250, 0.2500, 0.5000, 3.0000])

    Reference:
        High-Dimensional Continuous Control Using Generalized Advantage Estimation, arXiv 1506.02438, eq. 16.
    """
    if not len(response_of_K):
        return torch.zeros_like(value_K)
    length_R = torch.bincount(response_of_K)
    by_response_K = torch.argsort(response_of_K, stable=True)
    row_K = response_of_K[by_response_K]
    column_K = torch.arange(len(row_K), device=row_K.device) - (length_R.cumsum(0) - length_R)[row_K]
    table_RT = value_K.new_zeros(2, len(length_R), int(length_R.max()) + 1)
    table_RT[0, row_K, column_K] = reward_K.detach().to(table_RT)[by_response_K]
    table_RT[1, row_K, column_K] = value_K.detach()[by_response_K]
    reward_RT, value_RT = table_RT
    surprise_RT = reward_RT[:, :-1] + gamma * value_RT[:, 1:] - value_RT[:, :-1]
    advantage_RT = torch.zeros_like(value_RT)
    for t in range(surprise_RT.shape[1] - 1, -1, -1):  # after the end of a response all entries are 0
        advantage_RT[:, t] = surprise_RT[:, t] + gamma * lam * advantage_RT[:, t + 1]
    advantage_K = torch.empty_like(value_K, requires_grad=False)
    advantage_K[by_response_K] = advantage_RT[row_K, column_K]
    return advantage_K


def token_rewards(reward_R: Tensor, penalty_K: Tensor, response_of_K: Tensor) -> Tensor:
    """The rewards that GAE reads: -penalty on every token, plus the response's reward on its last token.

    Args:
        reward_R: the score of each response.
        penalty_K: the penalty of each token, such as beta times its KL.
        response_of_K: as for `generalised_advantages`; every response has at least one token.

    Returns:
        Tensor of shape (K,), without a gradient; the tokens of a response sum to its reward less its penalties.

    Example:
        >>> import torch
        >>> from penchant.objectives import token_rewards
        >>> token_rewards(torch.tensor([2.0, 3.0]), torch.tensor([0.1, 0.2, 0.5]), torch.tensor([0, 0, 1]))
        tensor([-0.1000,  1.8000,  2.5000])

    Reference:
        Training language models to follow instructions with human feedback, arXiv 2203.02155, eq. 2.
    """
    place_K = torch.arange(len(response_of_K), device=response_of_K.device)
    last_R = place_K.new_zeros(len(reward_R)).scatter_reduce(0, response_of_K, place_K, "amax")
    return (-penalty_K.detach()).index_add(0, last_R, reward_R.detach().to(penalty_K))


def shaped_rewards(
    score_R: Tensor, ended_R: Tensor, *, clip: float | None = None, missing_end_penalty: float = 0.0
) -> Tensor:
    """r = min(max(score, -clip), clip) - penalty [the response was cut before it ended].

    Args:
        score_R: the judge's scores, shape (R,).
        ended_R: whether the response ended with an end-of-sequence token, boolean, shape (R,).
        clip: the largest absolute value of a score; None leaves scores unchanged.
        missing_end_penalty: subtracted after clipping, so that it also applies to clipped scores.

    Returns:
        Tensor of shape (R,).

    Example:
        >>> import torch
        >>> from penchant.objectives import shaped_rewards
        >>> shaped_rewards(torch.tensor([9.0, 1.0]), torch.tensor([True, False]), clip=5.0, missing_end_penalty=1.0)
        tensor([5., 0.])

    Reference:
        The N Implementation Details of RLHF with PPO, arXiv 2403.17031 (the end-of-sequence trick).
    """
    clipped_R = score_R if clip is None else score_R.clamp(-clip, clip)
    return clipped_R - missing_end_penalty * (~ended_R).to(score_R)


def whitened(advantage_N: Tensor) -> Tensor:
    """(A - mean(A)) / std(A) over the batch, for advantages of responses or of tokens; equal values give 0.

    Like any sample-dependent scale it biases the gradient, only slightly if the batch is large.

    Example:
        >>> import torch
        >>> from penchant.objectives import whitened
        >>> whitened(torch.tensor([1.0, 2.0, 3.0]))
        tensor([-1.,  0.,  1.])

    Reference:
        Fine-Tuning Language Models from Human Preferences, arXiv 1909.08593, its code.
    """
    centred_N = advantage_N - advantage_N.mean()
    variance = (centred_N**2).sum() / max(len(advantage_N) - 1, 1)
    return centred_N * torch.rsqrt(variance + 1e-8)


def _size_and_mean(value_R: Tensor, group_R: Tensor) -> tuple[Tensor, Tensor]:
    """The size and mean of each response's group."""
    num_groups = int(group_R.max()) + 1 if len(group_R) else 0
    size_R = sum_by_response(torch.ones_like(value_R), group_R, num_groups)[group_R]
    if num_alone := int((size_R < 2).sum()):
        raise ValueError(
            f"{num_alone} of {len(value_R)} responses are the only one to their prompt, so there is nothing to compare "
            "them with; sample at least 2 responses a prompt"
        )
    return size_R, sum_by_response(value_R, group_R, num_groups)[group_R] / size_R

"""Compute losses from advantages: PPO's clipped ratio, the value loss, and the weights of tokens.

Shapes: K scored tokens, R responses. A loss is returned for every token; the caller weights and sums them.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from penchant.objectives.sequence import sum_by_response

__all__ = ["Aggregation", "PolicyLoss", "Ratio", "policy_loss", "token_weight", "value_loss"]

Ratio = Literal["token", "sequence", "sequence_mean"]
Aggregation = Literal["sum", "mean", "token", "fixed"]


class PolicyLoss(NamedTuple):
    """loss_K: losses to weight and sum. clipped_K: where the gradient is clipped to 0; boolean."""

    loss_K: Tensor
    clipped_K: Tensor


def policy_loss(
    logprob_K: Tensor,
    old_logprob_K: Tensor,
    advantage_K: Tensor,
    response_of_K: Tensor,
    *,
    clip: float = 0.2,
    clip_high: float | None = None,
    ratio: Ratio = "token",
) -> PolicyLoss:
    """-min(u A, min(max(u, 1 - clip), 1 + clip_high) A) of every token; u is a ratio of new to old probability.

    If the policy equals the old one, the losses of a response have the same total gradient for every ratio,
    -A grad log pi(y), that of REINFORCE. `ratio` determines what is clipped once they differ.

    - token: each token's own, p / p_old (PPO, GRPO);
    - sequence: the whole response's, the product over its tokens (RLOO); its loss is divided evenly over them;
    - sequence_mean: that product to the power of 1 / length (GSPO).

    Args:
        logprob_K: log-probs under the policy; only these receive a gradient.
        old_logprob_K: log-probs under the policy that wrote the responses.
        advantage_K: A of each token. For sequence ratios, the mean over the response's tokens is used.
        response_of_K: the response of each token, int64 from 0, shape (K,).
        clip: how far below 1 the ratio may fall before its gradient is cut, in (0, 1).
        clip_high: how far above 1; None means `clip`.
        ratio: token, sequence or sequence_mean.

    Returns:
        The PolicyLoss, both of shape (K,).

    Example:
        >>> import torch
        >>> from penchant.objectives import policy_loss
        >>> old_K = torch.tensor([0.5, 0.5, 0.5]).log()
        >>> policy_loss(torch.tensor([0.75, 0.5, 0.25]).log(), old_K, torch.ones(3), torch.tensor([0, 0, 0]))
        PolicyLoss(loss_K=tensor([-1.2000, -1.0000, -0.5000]), clipped_K=tensor([ True, False, False]))

    Reference:
        Proximal Policy Optimization Algorithms, arXiv 1707.06347, eq. 7; Back to Basics, arXiv 2402.14740; Group
        Sequence Policy Optimization, arXiv 2507.18071, eq. 5 to 7; clip_high from DAPO, arXiv 2503.14476, eq. 8.
    """
    clip_high = clip if clip_high is None else clip_high
    log_ratio_K, advantage_K = logprob_K - old_logprob_K.detach(), advantage_K.detach()
    shared_by_K = torch.ones_like(log_ratio_K)
    if ratio != "token":
        num_responses = int(response_of_K.max()) + 1 if len(response_of_K) else 0
        length_K = sum_by_response(shared_by_K, response_of_K, num_responses)[response_of_K]
        log_ratio_K = sum_by_response(log_ratio_K, response_of_K, num_responses)[response_of_K]
        advantage_K = sum_by_response(advantage_K, response_of_K, num_responses)[response_of_K] / length_K
        if ratio == "sequence":
            shared_by_K = length_K
        else:
            log_ratio_K = log_ratio_K / length_K
    ratio_K = log_ratio_K.exp()
    free_K, held_K = ratio_K * advantage_K, ratio_K.clamp(1 - clip, 1 + clip_high) * advantage_K
    return PolicyLoss(-torch.minimum(free_K, held_K) / shared_by_K, held_K.detach() < free_K.detach())


def token_weight(
    length_R: Tensor, aggregation: Aggregation, *, max_length: int | None = None, num_responses: int | None = None
) -> Tensor:
    """The weight of each token of a response; the loss of a batch is the sum of weight x loss over its tokens.

    - sum: 1 / R. A response counts by its summed log-prob, as in the policy gradient;
    - mean: 1 / (R length). Every response has equal weight, so a token of a long one counts less (GRPO);
    - token: 1 / K, K the tokens of the batch. Every token has equal weight (PPO, DAPO);
    - fixed: 1 / (R max_length). Equal to sum up to a constant factor (Dr. GRPO).

    Pass the lengths of the whole batch, and select from the result what a micro-batch needs.

    Args:
        length_R: the number of scored tokens of each response.
        aggregation: sum, mean, token or fixed.
        max_length: the longest that a response may be; for `fixed`.
        num_responses: R, if it is not the number of lengths.

    Returns:
        Tensor of shape (R,), at least float32.

    Raises:
        ValueError: `fixed` without max_length.

    Example:
        >>> import torch
        >>> from penchant.objectives import token_weight
        >>> token_weight(torch.tensor([4, 1]), "mean"), token_weight(torch.tensor([4, 1]), "token")
        (tensor([0.1250, 0.5000]), tensor([0.2000, 0.2000]))

    Reference:
        sum: Back to Basics, arXiv 2402.14740; mean: DeepSeekMath, arXiv 2402.03300, eq. 3; token: DAPO, arXiv
        2503.14476, eq. 8; fixed: Understanding R1-Zero-Like Training, arXiv 2503.20783, section 3.
    """
    length_R = length_R.to(torch.promote_types(length_R.dtype, torch.float32))
    num = len(length_R) if num_responses is None else num_responses
    if aggregation == "mean":
        return 1 / (num * length_R.clamp(min=1))
    if aggregation == "token":
        return torch.ones_like(length_R) / length_R.sum().clamp(min=1)
    if aggregation == "sum":
        return torch.full_like(length_R, 1 / max(num, 1))
    if max_length is None:
        raise ValueError("the aggregation 'fixed' divides by max_length; give the longest that a response may be")
    return torch.full_like(length_R, 1 / (max(num, 1) * max_length))


def value_loss(value_K: Tensor, old_value_K: Tensor, return_K: Tensor, *, clip: float | None = 0.2) -> Tensor:
    """max((V - G)^2, (V_c - G)^2) / 2 with V_c = V_old + min(max(V - V_old, -clip), clip).

    Args:
        value_K: V, the value head's output; only this receives a gradient.
        old_value_K: its output when the responses were sampled.
        return_K: G, the target: advantage plus old value.
        clip: how far V may move from V_old before its gradient is cut; None: no limit.

    Returns:
        Tensor of shape (K,).

    Example:
        >>> import torch
        >>> from penchant.objectives import value_loss
        >>> value_loss(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([2.0, 2.0]))
        tensor([1.6200, 0.5000])

    Reference:
        The 37 Implementation Details of Proximal Policy Optimization, item 9 (value function loss clipping):
        https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/.
    """
    old_value_K, return_K = old_value_K.detach(), return_K.detach()
    squared_K = (value_K - return_K) ** 2
    if clip is not None:
        held_K = old_value_K + (value_K - old_value_K).clamp(-clip, clip)
        squared_K = torch.maximum(squared_K, (held_K - return_K) ** 2)
    return squared_K / 2

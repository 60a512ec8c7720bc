"""Sum token log-probs to response log-probs.

Shapes: K scored tokens, R responses.
"""

import torch
from torch import Tensor

__all__ = ["sum_by_response"]


def sum_by_response(token_logprobs_K: Tensor, response_of_K: Tensor, num_responses: int) -> Tensor:
    """Sum the token log-probs of each response; differentiable, each token receives the gradient of its response.

    Tokens may be in any order. A response without tokens sums to 0. Log-probs of half precision are summed in float32,
    since a long sum in bfloat16 loses whole nats. Summing ones counts the tokens of each response.

    Args:
        token_logprobs_K: natural log-prob of every scored token, shape (K,).
        response_of_K: index of the response each token belongs to, int64 in [0, R), shape (K,).
        num_responses: R.

    Returns:
        Tensor of shape (R,), in nats, of at least float32.

    Raises:
        ValueError: the two tensors are not of the same shape (K,).

    Example:
        >>> import torch
        >>> from penchant.objectives import sum_by_response
        >>> sum_by_response(torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([0, 1, 0]), num_responses=2)
        tensor([-5., -2.])
    """
    if token_logprobs_K.ndim != 1 or token_logprobs_K.shape != response_of_K.shape:
        raise ValueError(
            f"token_logprobs_K has shape {tuple(token_logprobs_K.shape)} and response_of_K "
            f"{tuple(response_of_K.shape)}; give one number and one response index a token, shape (K,)"
        )
    dtype = torch.promote_types(token_logprobs_K.dtype, torch.float32)
    return token_logprobs_K.new_zeros(num_responses, dtype=dtype).index_add(
        0, response_of_K, token_logprobs_K.to(dtype)
    )

"""A linear head that outputs zero, made without drawing from the caller's random generator."""

import torch
from torch import nn
from torch.nn.utils import skip_init

__all__ = ["zero_head"]


def zero_head(num_inputs: int, *, bias: bool, device: torch.device, dtype: torch.dtype = torch.float32) -> nn.Linear:
    """A trainable layer from `num_inputs` numbers to one, with every weight 0."""
    head: nn.Linear = skip_init(nn.Linear, num_inputs, 1, bias=bias, device=device, dtype=dtype)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    return head

"""From logits to sampled tokens: one uniform number a token, looked up in the inverse of the cumulative distribution.

Shape suffixes: R rows (responses being written), V vocabulary, C candidates, S blocks of the vocabulary.

The uniform numbers of a response come from a counter-based generator keyed by its identity, so they do not depend on
which other responses are in the batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.errors import ConfigError
from penchant.numbers_given import require_number, require_whole

__all__ = ["SamplingParams", "sample", "uniforms"]

BLOCK = 256
"""Tokens per block sum: the search then reads V / 256 sums and one block."""


LEAST_TEMPERATURE = 1e-6
"""Below it, and above its inverse, logits divided by it overflow or underflow float32."""


@dataclass(frozen=True)
class SamplingParams:
    """Sampling parameters. Raises ConfigError for invalid values.

    temperature: logits are divided by it; 0 takes the likeliest token. top_k: only the k likeliest tokens, 0 for all.
    top_p: only the smallest set of likeliest tokens whose probability reaches it (Holtzman et al. 2020), after top_k.
    max_new_tokens: the most tokens of a response. seed: the same seed gives the same responses.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p"):
            require_number(name, getattr(self, name))
        for name, least in (("top_k", 0), ("max_new_tokens", 1), ("seed", 0)):
            require_whole(name, getattr(self, name), least)
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature <= 1 / LEAST_TEMPERATURE:
            raise ConfigError(
                f"temperature must be 0 or from {LEAST_TEMPERATURE:g} to {1 / LEAST_TEMPERATURE:g}, got "
                f"{self.temperature:g}; use 1 for the model's own distribution, 0 for the likeliest token"
            )
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be above 0 and at most 1, got {self.top_p}; use 1 to keep all tokens")


def uniforms(seed: int, key: str, index: int, attempt: int, num: int) -> NDArray[np.float64]:
    """The uniform numbers in [0, 1) of one response, (num,): those of its first `num` tokens.

    Philox (Salmon et al. 2011) under a key hashed from the arguments; a longer series starts with the shorter one.
    """
    name = "\0".join((str(seed), str(index), str(attempt), key)).encode()
    digest = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    raw = np.random.Philox(key=digest).random_raw(num)
    return np.asarray((raw >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def sample(logits_RV: Tensor, uniform_R: Tensor, params: SamplingParams) -> tuple[Tensor, Tensor]:
    """Draw one token per row: its id, (R,) int64, and its natural log-probability, (R,) fp32.

    The log-probability is that of the whole distribution at temperature 1, for any parameters. uniform_R: float64
    in [0, 1), on the CPU. The results are on the device of the logits, or on the CPU where that has no float64.
    """
    logits_RV = (logits_RV.cpu() if logits_RV.device.type == "mps" else logits_RV).float()
    uniform_R = uniform_R.to(logits_RV.device)
    restricted = params.top_k > 0 or params.top_p < 1
    if params.temperature == 1 and not restricted:  # the sampled distribution is the reported one: one pass less
        p_RV = torch.softmax(logits_RV, dim=-1)
        token_R = _invert(p_RV, uniform_R)
        return token_R, p_RV.gather(1, token_R[:, None])[:, 0].log()
    if params.temperature == 0:
        token_R = logits_RV.argmax(dim=-1)
    else:
        p_RV = torch.softmax(logits_RV / params.temperature, dim=-1)
        if restricted:
            p_RV = p_RV * torch.ge(p_RV, _least_kept(p_RV, params), out=torch.empty_like(p_RV))
        token_R = _invert(p_RV, uniform_R)
    return token_R, torch.log_softmax(logits_RV, dim=-1).gather(1, token_R[:, None])[:, 0]


def _least_kept(p_RV: Tensor, params: SamplingParams) -> Tensor:
    """The smallest probability that top_k and then top_p leave in a row, (R, 1); equal ones are kept together."""
    if params.top_k:
        ascending_RC = torch.topk(p_RV, min(params.top_k, p_RV.shape[1]), dim=-1).values.flip(-1)
        if params.top_p == 1:
            return ascending_RC[:, :1]
    elif p_RV.device.type == "cpu":
        ascending_RC = torch.from_numpy(np.sort(p_RV.numpy(), axis=-1))  # vectorised, many times faster than PyTorch's
    else:
        ascending_RC = p_RV.sort(dim=-1).values
    mass_RC = ascending_RC.cumsum(dim=-1, dtype=torch.float64)
    first_R1 = torch.searchsorted(mass_RC, (1 - params.top_p) * mass_RC[:, -1:], right=True)
    return ascending_RC.gather(1, first_R1.clamp_(max=ascending_RC.shape[1] - 1))


def _invert(p_RV: Tensor, uniform_R: Tensor) -> Tensor:
    """The token at which the cumulative distribution passes the uniform number, (R,), by sums of blocks."""
    spare = -p_RV.shape[1] % BLOCK
    if spare:
        p_RV = torch.nn.functional.pad(p_RV, (0, spare))
    p_RSB = p_RV.view(len(p_RV), -1, BLOCK)
    sum_RS = p_RSB.sum(dim=-1).double()
    before_RS = sum_RS.cumsum(dim=-1) - sum_RS
    target_R = uniform_R * sum_RS.sum(dim=-1)
    block_R = _search(sum_RS, target_R)
    rows_R = torch.arange(len(p_RV), device=p_RV.device)
    return block_R * BLOCK + _search(p_RSB[rows_R, block_R], target_R - before_RS[rows_R, block_R])


def _search(weight_RC: Tensor, target_R: Tensor) -> Tensor:
    """First column whose running sum exceeds the target, (R,); never one of weight zero."""
    cumulative_RC = weight_RC.double().cumsum(dim=-1)
    # rounding may put the target at or above the last sum, where the search would leave the row
    target_R = torch.minimum(target_R, cumulative_RC[:, -1] * (1 - 1e-12))
    return torch.searchsorted(cumulative_RC, target_R[:, None], right=True)[:, 0]

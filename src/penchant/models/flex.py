"""FlexAttention over a forest on CUDA: its mask is defined by intervals, never by (T, T) cells.

Shape suffixes: T packed tokens, N query heads, G key/value heads, D head width (of values, it may be another: E),
C blocks of BLOCK neighbouring tokens.

A forest is packed depth first, so the tokens that see token j are contiguous, from j itself to the end of the subtree
under its segment:

    i sees j   iff   j <= i < end[j]

So a block of queries sees part of an earlier block of keys iff the largest end in that block is after the first query,
and all of it iff the smallest end is after the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant.tokens.forest import Forest

__all__ = ["BLOCK", "FlexLayout", "block_mask", "seen_blocks", "subtree_ends"]

BLOCK = 128
"""Tokens per block, as in FlexAttention's own masks; its kernels divide it."""
LEAST_BLOCKS = 2
"""torch.compile specialises kernels for size 1, so a test would use another kernel than training."""
ONE_KERNEL = {"FORCE_USE_FLEX_ATTENTION": True}
"""Under 128 tokens FlexAttention would use its decoding kernel, unwanted for the same reason."""


class FlexLayout:
    """Attention over a packed forest; see `penchant.models.attention.Layout`. One mask for all layers."""

    def __init__(self, forest: Forest, device: torch.device) -> None:
        self.longest = forest.max_position + 1
        self.mask = block_mask(forest, device)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (1, N, T, D), key (1, G, T, D) and value (1, G, T, E) to (1, T, N, E)."""
        query, key = query.to(value.dtype), key.to(value.dtype)  # rotation is in fp32 even under autocast
        with torch.autocast(value.device.type, enabled=False):
            out: Tensor = _kernel()(
                query, key, value, block_mask=self.mask, scale=scale, enable_gqa=True, kernel_options=ONE_KERNEL
            )
        return out.transpose(1, 2)


def subtree_ends(forest: Forest) -> NDArray[np.int64]:
    """The packed end of the subtree under each token's segment, (T,)."""
    starts = np.array([*(segment.start for segment in forest.segments), forest.num_tokens])
    _, exit_T = forest.enter_exit()
    ends_T: NDArray[np.int64] = starts[exit_T]
    return ends_T


def seen_blocks(end_T: NDArray[np.int64], block: int = BLOCK) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which blocks of keys each block of queries sees partly, and which fully, (C, C) each, queries by keys.

    end_T: from `subtree_ends`. Nothing after the last token is seen, so a partly filled last block sees nothing fully.
    O(T + C^2).
    """
    starts_C = np.arange(0, len(end_T), block)
    latest_C, soonest_C = np.maximum.reduceat(end_T, starts_C), np.minimum.reduceat(end_T, starts_C)
    stops_C = np.where(starts_C + block <= len(end_T), starts_C + block, np.iinfo(np.int64).max)
    earlier_CC = starts_C[None, :] < starts_C[:, None]
    whole_CC = earlier_CC & (soonest_C[None, :] >= stops_C[:, None])
    some_CC = (earlier_CC & (latest_C[None, :] > starts_C[:, None])) | np.eye(len(starts_C), dtype=np.bool_)
    if block == 1:
        return some_CC & ~some_CC, some_CC
    return some_CC & ~whole_CC, whole_CC


def block_mask(forest: Forest, device: torch.device) -> Any:
    """The forest's rule as a BlockMask, equal to that of `create_block_mask`, which needs T^2 cells.

    There are at least LEAST_BLOCKS blocks; those after the last token see nothing.
    """
    from torch.nn.attention.flex_attention import BlockMask

    end_T = subtree_ends(forest)
    more = max(0, LEAST_BLOCKS - -(-forest.num_tokens // BLOCK))
    partly, wholly = (_ordered(np.pad(seen_CC, (0, more))) for seen_CC in seen_blocks(end_T))
    mask = BlockMask.from_kv_blocks(
        *partly,
        *wholly,
        BLOCK_SIZE=BLOCK,
        mask_mod=_sees(torch.from_numpy(end_T).to(device)),
        seq_lengths=(forest.num_tokens, forest.num_tokens),
    )
    return _of_any_size(mask.to(device))  # built on the CPU, then moved


def _of_any_size(mask: Any) -> Any:
    """Mark the mask's tables as dynamic, so that torch.compile makes one kernel for all sizes.

    It treats sizes that are equal at its first call as the same, and the number of heads as constant.
    """
    for table in vars(mask).values():
        if isinstance(table, Tensor):
            torch._dynamo.maybe_mark_dynamic(table, tuple(range(2, table.dim())))
    return mask


def _ordered(seen_CC: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """The number of blocks each row sees, (1, 1, C), and their indices first, (1, 1, C, C)."""
    counts = seen_CC.sum(axis=1, dtype=np.int32)
    indices = np.argsort(~seen_CC, axis=1, kind="stable").astype(np.int32)
    return torch.from_numpy(counts)[None, None], torch.from_numpy(indices)[None, None]


def _sees(end_T: Tensor) -> Callable[[Any, Any, Tensor, Tensor], Tensor]:
    """The rule in FlexAttention's form: (batch, head, query index, key index) to bool."""

    def sees(_b: Any, _h: Any, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i < end_T[j])

    return sees


_compiled: Any = None


def _kernel() -> Any:
    """The compiled FlexAttention, which is only fused when compiled; once per process, for all sizes."""
    global _compiled  # noqa: PLW0603  the one cache a compiled kernel needs
    if _compiled is None:
        from torch.nn.attention.flex_attention import flex_attention

        _compiled = torch.compile(flex_attention, dynamic=True)
    return _compiled

"""FlexAttention over a forest, which computes on CUDA: its mask is read from intervals, never from (T, T) cells.

Shape suffixes: T packed tokens, N query heads, G key/value heads, D head width (of values, it may be another: E),
C blocks of BLOCK neighbouring tokens.

A forest is packed depth first, so the tokens that see token j stand side by side, from j itself to the end of the
subtree under its segment:

    i sees j   iff   j <= i < end[j]

A block of queries therefore sees something of an earlier block of keys iff the largest end in that block lies behind
the first query, and all of it iff the smallest end lies behind the last one.
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
"""Tokens of a block on either side, as FlexAttention's own masks have; its kernels divide it."""
LEAST_BLOCKS = 2
"""torch.compile makes a kernel of its own for sizes of 1, and a model would be tried by another than it trains with."""
ONE_KERNEL = {"FORCE_USE_FLEX_ATTENTION": True}
"""Under 128 tokens FlexAttention would take its kernel for decoding, for the same reason not wanted."""


class FlexLayout:
    """Attention over a packed forest; see `penchant.models.attention.Layout`. One mask for all layers."""

    def __init__(self, forest: Forest, device: torch.device) -> None:
        self.longest = forest.max_position + 1
        self.mask = block_mask(forest, device)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (1, N, T, D), key (1, G, T, D) and value (1, G, T, E) to (1, T, N, E)."""
        query, key = query.to(value.dtype), key.to(value.dtype)  # rotated in fp32, which under autocast is not theirs
        with torch.autocast(value.device.type, enabled=False):
            out: Tensor = _kernel()(
                query, key, value, block_mask=self.mask, scale=scale, enable_gqa=True, kernel_options=ONE_KERNEL
            )
        return out.transpose(1, 2)


def subtree_ends(forest: Forest) -> NDArray[np.int64]:
    """Where in the packed order the subtree under each token's segment ends, (T,)."""
    starts = np.array([*(segment.start for segment in forest.segments), forest.num_tokens])
    _, exit_T = forest.enter_exit()
    ends_T: NDArray[np.int64] = starts[exit_T]
    return ends_T


def seen_blocks(end_T: NDArray[np.int64], block: int = BLOCK) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which blocks of keys a block of queries sees in part, and which whole, (C, C) each, queries by keys.

    end_T: of `subtree_ends`. What lies behind the last token is not seen, so a last block that is not filled sees
    nothing whole. O(T + C^2).
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
    """The forest's rule as FlexAttention's BlockMask: what its `create_block_mask` finds in T^2 cells.

    There are at least LEAST_BLOCKS blocks; those behind the last token see nothing.
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
    return _of_any_size(mask.to(device))  # built where it is small work, and moved at once


def _of_any_size(mask: Any) -> Any:
    """The mask, of whose tables torch.compile then makes one kernel whatever their size.

    It takes sizes that are equal at its first call for one and the same, and the number of heads for a constant.
    """
    for table in vars(mask).values():
        if isinstance(table, Tensor):
            torch._dynamo.maybe_mark_dynamic(table, tuple(range(2, table.dim())))
    return mask


def _ordered(seen_CC: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """How many blocks each row sees, (1, 1, C), and which, these first, (1, 1, C, C)."""
    counts = seen_CC.sum(axis=1, dtype=np.int32)
    indices = np.argsort(~seen_CC, axis=1, kind="stable").astype(np.int32)
    return torch.from_numpy(counts)[None, None], torch.from_numpy(indices)[None, None]


def _sees(end_T: Tensor) -> Callable[[Any, Any, Tensor, Tensor], Tensor]:
    """The rule as FlexAttention asks for it: (batch, head, query index, key index) to bool."""

    def sees(_b: Any, _h: Any, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i < end_T[j])

    return sees


_compiled: Any = None


def _kernel() -> Any:
    """FlexAttention is only fused when compiled; compiled once a process, for forests of all sizes."""
    global _compiled  # noqa: PLW0603  the one cache a compiled kernel needs
    if _compiled is None:
        from torch.nn.attention.flex_attention import flex_attention

        _compiled = torch.compile(flex_attention, dynamic=True)
    return _compiled

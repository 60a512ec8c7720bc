"""Tree attention: the attention function that Penchant registers with transformers.

Shape suffixes: T packed tokens, N query heads, G key/value heads, D head width (of values, it may be another: E).

The model's own code calls `attend` in every layer with the keyword argument `layout` it was given: an object that
defines which tokens see which. `layout_of` is for a packed forest in training and scoring; the sampler uses another for
its key/value cache. A call without a layout, and a layer with a feature that the layout does not compute (a sliding
window shorter than the sequence, soft-capped scores, attention sinks), are refused with `CannotShare`, never computed
wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from penchant.models.flex import FlexLayout
from penchant.tokens.forest import Forest

__all__ = ["NAME", "CannotShare", "Layout", "TreeLayout", "layout_of"]

NAME = "penchant"
QUERY_BLOCK = 128
"""Query rows processed at once: large enough for matrix products, small enough to skip most masked keys."""


class CannotShare(Exception):
    """This model's attention cannot be computed exactly with shared prefixes."""


class Layout(Protocol):
    """Which tokens see which. Called once per layer."""

    longest: int

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (B, N, T, D), key (B, G, T, D) and value (B, G, T, E) to (B, T, N, E)."""
        ...


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    sliding_window: int | None = None,
    **extra: Any,
) -> tuple[Tensor, None]:
    """The function transformers calls; see `transformers.AttentionInterface`. Raises CannotShare."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if layout is None:  # padding or a cache would be invisible here
        raise CannotShare("its layers do not pass the arguments of their call on to the attention function")
    if sliding_window is not None and sliding_window < layout.longest:
        raise CannotShare(f"a sliding window of {sliding_window} tokens is shorter than a sequence")
    for name in ("softcap", "s_aux", "position_bias"):
        if extra.get(name) is not None:
            raise CannotShare(f"its attention uses {name}")
    if dropout:
        raise CannotShare("its attention uses dropout")
    if attention_mask is not None:  # none was passed, so the layer made it, and it may mask more than causally
        raise CannotShare("its attention has a mask of its own")
    return layout.attend(cast(int, module.layer_idx), query, key, value, scale), None


AttentionInterface.register(NAME, attend)


def layout_of(forest: Forest, device: torch.device) -> Layout:
    """Attention over a packed forest: by FlexAttention on CUDA, by `TreeLayout` elsewhere. One for all layers."""
    return FlexLayout(forest, device) if device.type == "cuda" else TreeLayout(forest, device)


class TreeLayout:
    """Attention over a packed forest, exact and with memory linear in T.

    It walks the segments: each block of query rows attends to its ancestors and, causally, to its own segment.
    """

    def __init__(self, forest: Forest, device: torch.device) -> None:
        self.longest = forest.max_position + 1
        self.device = device
        self._forest = forest
        self._blocks: list[_Block] = []

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (1, N, T, D), key (1, G, T, D) and value (1, G, T, E) to (1, T, N, E)."""
        dtype = value.dtype
        if not self._blocks:
            self._blocks = _blocks(self._forest, dtype, self.device)
        apply: Callable[..., Tensor] = _TreeAttention.apply  # to which torch gives no types
        out = apply(query[0].to(dtype), key[0].to(dtype), value[0], scale, self._blocks)
        return out.transpose(0, 1)[None]


_Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Block:
    """Adjacent query rows [start, stop) of one tree, and the packed spans of the keys that any of them sees.

    hidden_SM: minus infinity where row s does not see key m, else zero. A pair's tree of usual size is one or two
    blocks, its keys one contiguous slice.
    """

    start: int
    stop: int
    spans: tuple[_Span, ...]
    hidden_SM: Tensor

    def rows(self, x_NTD: Tensor, groups: int) -> Tensor:
        """Query rows with the heads that share a key head folded into them, (G, N/G * S, D)."""
        return x_NTD[:, self.start : self.stop].reshape(groups, -1, x_NTD.shape[-1])

    def keys(self, x_GTD: Tensor) -> Tensor:
        """The keys or values that the rows see, (G, M, D)."""
        if len(self.spans) == 1:
            return x_GTD[:, self.spans[0][0] : self.spans[0][1]]
        return torch.cat([x_GTD[:, low:high] for low, high in self.spans], dim=1)

    def add_to(self, sum_GTD: Tensor, part_GMD: Tensor) -> None:
        """Add values for the keys of this block at their packed positions."""
        offset = 0
        for low, high in self.spans:
            sum_GTD[:, low:high] += part_GMD[:, offset : offset + high - low]
            offset += high - low

    def probabilities(self, q: Tensor, k: Tensor) -> Tensor:
        """Softmax of the masked scores of scaled queries, (G, N/G * S, M)."""
        scores = torch.bmm(q, k.transpose(1, 2))
        scores.view(len(q), -1, *self.hidden_SM.shape).add_(self.hidden_SM)
        return torch.softmax(scores, dim=-1)


def _blocks(forest: Forest, dtype: torch.dtype, device: torch.device) -> list[_Block]:
    """Cut every tree into blocks of at most QUERY_BLOCK rows."""
    enter, leave = forest.enter_exit()
    roots = [segment.start for segment in forest.segments if segment.parent < 0]
    blocks = []
    for low, high in pairwise([*roots, forest.num_tokens]):
        for start in range(low, high, QUERY_BLOCK):
            stop = min(start + QUERY_BLOCK, high)
            seen = {span for i in np.unique(enter[start:stop]) for span in forest.spans(int(i)) if span[0] < stop}
            spans = _union(sorted((a, min(b, stop)) for a, b in seen))
            rows = np.arange(start, stop)[:, None]
            keys = np.concatenate([np.arange(a, b) for a, b in spans])[None, :]
            sees = (keys <= rows) & (enter[keys] <= enter[rows]) & (enter[rows] < leave[keys])
            hidden = torch.zeros(sees.shape, dtype=dtype).masked_fill_(torch.from_numpy(~sees), float("-inf"))
            blocks.append(_Block(start, stop, spans, hidden.to(device)))
    return blocks


def _union(spans: list[_Span]) -> tuple[_Span, ...]:
    """Sorted spans, with adjacent and overlapping ones merged."""
    merged: list[_Span] = []
    for low, high in spans:
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


class _TreeAttention(torch.autograd.Function):
    """softmax(q k^T + mask) v over the blocks of a forest; probabilities are recomputed in the backward pass."""

    @staticmethod
    def forward(ctx: Any, q_NTD: Tensor, k_GTD: Tensor, v_GTD: Tensor, scale: float, blocks: list[_Block]) -> Tensor:
        groups = len(k_GTD)
        q_NTD = q_NTD * scale
        out_NTD = q_NTD.new_empty(*q_NTD.shape[:2], v_GTD.shape[-1])
        with torch.autocast(q_NTD.device.type, enabled=False):
            for block in blocks:
                p = block.probabilities(block.rows(q_NTD, groups), block.keys(k_GTD))
                out = torch.bmm(p, block.keys(v_GTD))
                out_NTD[:, block.start : block.stop] = out.view(len(q_NTD), -1, out.shape[-1])
        ctx.save_for_backward(q_NTD, k_GTD, v_GTD)
        ctx.blocks, ctx.scale = blocks, scale
        return out_NTD

    @staticmethod
    def backward(ctx: Any, grad_NTD: Tensor) -> tuple[Tensor | None, ...]:
        q_NTD, k_GTD, v_GTD = ctx.saved_tensors
        groups = len(k_GTD)
        dq_NTD = torch.empty_like(q_NTD)
        dk_GTD, dv_GTD = torch.zeros_like(k_GTD), torch.zeros_like(v_GTD)
        for block in ctx.blocks:
            q, grad = block.rows(q_NTD, groups), block.rows(grad_NTD, groups)
            k, v = block.keys(k_GTD), block.keys(v_GTD)
            p = block.probabilities(q, k)
            block.add_to(dv_GTD, torch.bmm(p.transpose(1, 2), grad))
            ds = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), p, -1, p.dtype)
            dq = torch.bmm(ds, k)
            dq_NTD[:, block.start : block.stop] = dq.view(len(q_NTD), -1, dq.shape[-1])
            block.add_to(dk_GTD, torch.bmm(ds.transpose(1, 2), q))
        return dq_NTD.mul_(ctx.scale), dk_GTD, dv_GTD, None, None

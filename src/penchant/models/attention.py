"""Tree attention: the attention function that Penchant registers with transformers.

Shape suffixes: T packed tokens, N query heads, G key/value heads, D head width.

The model's own code calls `attend` in every layer with the keyword argument `layout` it was given: an object that
knows who sees whom. `TreeLayout` is a packed forest for training and scoring; the sampler brings another for its
key/value cache. A call without a layout, and a layer that asks for something the layout
does not compute (a sliding window shorter than the sequence, soft-capped scores, attention sinks), are refused with
`CannotShare`, never served wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

from penchant.tokens.forest import Forest

__all__ = ["NAME", "CannotShare", "Layout", "TreeLayout"]

NAME = "penchant"
QUERY_BLOCK = 128
"""Query rows handled at once: large enough for the matrix product, small enough to skip most of the future."""


class CannotShare(Exception):
    """This model's attention is not one that shared prefixes compute exactly."""


class Layout(Protocol):
    """Who sees whom. One call a layer."""

    longest: int

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (B, N, T, D), key and value (B, G, T, D) to (B, T, N, D)."""
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
    if layout is None:  # neither padding nor a cache would be seen from here
        raise CannotShare("its attention was called without a layout; call stop_sharing() to use the network directly")
    if sliding_window is not None and sliding_window < layout.longest:
        raise CannotShare(f"a sliding window of {sliding_window} tokens is shorter than a sequence")
    for name in ("softcap", "s_aux", "position_bias"):
        if extra.get(name) is not None:
            raise CannotShare(f"its attention uses {name}")
    if dropout:
        raise CannotShare("its attention uses dropout")
    return layout.attend(module.layer_idx, query, key, value, scale), None


AttentionInterface.register(NAME, attend)


class TreeLayout:
    """Attention over a packed forest, exact and with memory linear in T.

    CPU and MPS walk the segments: each block of query rows meets the keys of its ancestors and, causally, its own
    segment. On CUDA the interval rule of the forest is compiled into a FlexAttention mask.
    """

    def __init__(self, forest: Forest, device: torch.device) -> None:
        self.longest = forest.max_position + 1
        self.device = device
        if device.type == "cuda":
            self._block_mask = _flex_mask(forest, device)
        else:
            self._blocks = _query_blocks(forest)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        if self.device.type == "cuda":
            return _flex(query, key, value, self._block_mask, scale).transpose(1, 2)
        dtype = value.dtype
        out = _TreeAttention.apply(query[0].to(dtype), key[0].to(dtype), value[0], scale, self._blocks)
        return out.transpose(0, 1)[None]


_Span = tuple[int, int]
_Block = tuple[_Span, tuple[_Span, ...]]


def _query_blocks(forest: Forest) -> list[_Block]:
    """Every block of query rows with the packed spans of the keys it sees; the last span ends where the rows do."""
    blocks: list[_Block] = []
    for index, segment in enumerate(forest.segments):
        spans = forest.spans(index)
        for start in range(segment.start, segment.stop, QUERY_BLOCK):
            stop = min(start + QUERY_BLOCK, segment.stop)
            blocks.append(((start, stop), (*spans[:-1], (spans[-1][0], stop))))
    return blocks


def _gather(x_GTD: Tensor, spans: tuple[_Span, ...]) -> Tensor:
    if len(spans) == 1:
        return x_GTD[:, spans[0][0] : spans[0][1]]
    return torch.cat([x_GTD[:, start:stop] for start, stop in spans], dim=1)


def _probabilities(q: Tensor, k: Tensor, rows: int) -> Tensor:
    """Attention probabilities of one block: q (G, N/G * rows, D) scaled, k (G, m, D), the last `rows` causal."""
    scores = torch.bmm(q, k.transpose(1, 2))
    own = scores.view(q.shape[0], -1, rows, k.shape[1])[..., -rows:]
    own += _future(rows, q.dtype, q.device)
    return torch.softmax(scores, dim=-1)


@lru_cache(maxsize=2 * QUERY_BLOCK)
def _future(rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Minus infinity where the key comes after the query, (rows, rows)."""
    return torch.full((rows, rows), float("-inf"), dtype=dtype, device=device).triu_(1)


class _TreeAttention(torch.autograd.Function):
    """softmax(q k^T + mask) v over the blocks of a forest; probabilities are computed again on the way back."""

    @staticmethod
    def forward(ctx: Any, q_NTD: Tensor, k_GTD: Tensor, v_GTD: Tensor, scale: float, blocks: list[_Block]) -> Tensor:
        groups, width = k_GTD.shape[0], q_NTD.shape[-1]
        q_NTD = q_NTD * scale
        out_NTD = torch.empty_like(q_NTD)
        with torch.autocast(q_NTD.device.type, enabled=False):
            for (start, stop), spans in blocks:
                q = q_NTD[:, start:stop].reshape(groups, -1, width)
                p = _probabilities(q, _gather(k_GTD, spans), stop - start)
                out_NTD[:, start:stop] = torch.bmm(p, _gather(v_GTD, spans)).view(-1, stop - start, width)
        ctx.save_for_backward(q_NTD, k_GTD, v_GTD)
        ctx.blocks, ctx.scale = blocks, scale
        return out_NTD

    @staticmethod
    def backward(ctx: Any, grad_NTD: Tensor) -> tuple[Tensor | None, ...]:
        q_NTD, k_GTD, v_GTD = ctx.saved_tensors
        groups, width = k_GTD.shape[0], q_NTD.shape[-1]
        dq_NTD = torch.empty_like(q_NTD)
        dk_GTD, dv_GTD = torch.zeros_like(k_GTD), torch.zeros_like(v_GTD)
        for (start, stop), spans in ctx.blocks:
            rows = stop - start
            q = q_NTD[:, start:stop].reshape(groups, -1, width)
            grad = grad_NTD[:, start:stop].reshape(groups, -1, width)
            k, v = _gather(k_GTD, spans), _gather(v_GTD, spans)
            p = _probabilities(q, k, rows)
            dv = torch.bmm(p.transpose(1, 2), grad)
            ds = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), p, -1, p.dtype)
            dq_NTD[:, start:stop] = torch.bmm(ds, k).view(-1, rows, width)
            dk = torch.bmm(ds.transpose(1, 2), q)
            offset = 0
            for low, high in spans:
                dk_GTD[:, low:high] += dk[:, offset : offset + high - low]
                dv_GTD[:, low:high] += dv[:, offset : offset + high - low]
                offset += high - low
        return dq_NTD * ctx.scale, dk_GTD, dv_GTD, None, None


def _flex_mask(forest: Forest, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    return create_block_mask(_sees(forest, device), None, None, forest.num_tokens, forest.num_tokens, device=device)


def _sees(forest: Forest, device: torch.device) -> Callable[[Any, Any, Tensor, Tensor], Tensor]:
    """The interval rule as FlexAttention asks for it: (batch, head, query index, key index) to bool."""
    enter, leave = (torch.from_numpy(x).to(device) for x in forest.enter_exit())

    def sees(_b: Any, _h: Any, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (enter[j] <= enter[i]) & (enter[i] < leave[j])

    return sees


def _flex(query: Tensor, key: Tensor, value: Tensor, block_mask: Any, scale: float) -> Tensor:
    return _compiled_flex()(query, key, value, block_mask=block_mask, scale=scale, enable_gqa=True)


_flex_kernel: Any = None


def _compiled_flex() -> Any:
    """FlexAttention is only fused when compiled; compiled once a process."""
    global _flex_kernel  # noqa: PLW0603  the one cache a compiled kernel needs
    if _flex_kernel is None:
        from torch.nn.attention.flex_attention import flex_attention

        _flex_kernel = torch.compile(flex_attention, dynamic=True)
    return _flex_kernel

"""Keys and values of the responses being written, and attention over them.

Shape suffixes: R rows (responses being written), G key/value heads, M query heads per key/value head, D head width (of
values, it may be another: E), L positions, S tokens of one prompt that are new.

A row is one response: its prompt and its tokens so far. Every step packs one token of each active row, followed by the
new tokens of the prompts that start in this step, into one sequence without padding. Keys are stored transposed,
(D, L), which makes the thin products of decoding twice as fast on CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["KeyValueCache", "NewPrompt", "StepLayout"]

QUERY_BLOCK = 256
"""Rows of a long prompt processed at once, so that its scores need memory linear in its length."""


class KeyValueCache:
    """num_rows rows in every layer; capacity along positions grows by doubling, up to `limit`."""

    def __init__(self, num_rows: int, limit: int) -> None:
        self.num_rows, self.limit = num_rows, limit
        self.room = 0
        self.keys_RGDL: list[Tensor] = []
        self.values_RGLD: list[Tensor] = []

    def reserve(self, length: int) -> None:
        """Make room for rows of `length` tokens."""
        if length <= self.room:
            return
        self.room = min(max(length, 2 * self.room, 128), self.limit)
        for layer in range(len(self.keys_RGDL)):
            old_keys, old_values = self.keys_RGDL[layer], self.values_RGLD[layer]
            self._allocate(layer, old_values, old_keys.shape[2])
            self.keys_RGDL[layer][..., : old_keys.shape[3]] = old_keys
            self.values_RGLD[layer][:, :, : old_values.shape[2]] = old_values

    def layer(self, index: int, like: Tensor, key_width: int) -> tuple[Tensor, Tensor]:
        """Keys (R, G, D, L) and values (R, G, L, E) of a layer, allocated like values (1, G, T, E) on first access."""
        while len(self.keys_RGDL) <= index:
            self._allocate(len(self.keys_RGDL), like, key_width)
        return self.keys_RGDL[index], self.values_RGLD[index]

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of row `source` to row `target`."""
        for keys, values in zip(self.keys_RGDL, self.values_RGLD, strict=True):
            keys[target, :, :, :length] = keys[source, :, :, :length]
            values[target, :, :length] = values[source, :, :length]

    def _allocate(self, layer: int, like: Tensor, key_width: int) -> None:
        groups, width = like.shape[1], like.shape[3]
        # zeros: unwritten positions are masked, but zero times NaN would still be NaN
        self.keys_RGDL[layer : layer + 1] = [like.new_zeros(self.num_rows, groups, key_width, self.room)]
        self.values_RGLD[layer : layer + 1] = [like.new_zeros(self.num_rows, groups, self.room, width)]


@dataclass(frozen=True)
class NewPrompt:
    """A prompt that starts in this step in `row`, with its first `start` tokens already in the cache."""

    row: int
    start: int
    stop: int


class StepLayout:
    """Attention in one step: row r sees its lengths_R[r] cached tokens and its new one; prompts are causal."""

    def __init__(
        self, cache: KeyValueCache, lengths_R: NDArray[np.int64], prompts: Sequence[NewPrompt], device: torch.device
    ) -> None:
        self.cache, self.prompts = cache, prompts
        self.num_rows = len(lengths_R)
        self.longest_row = int(lengths_R.max(initial=-1)) + 1
        self.longest = max([self.longest_row, *(prompt.stop for prompt in prompts)])
        cache.reserve(self.longest)
        self.position_R = torch.from_numpy(lengths_R).to(device)
        hidden_RL = torch.arange(self.longest_row, device=device) > self.position_R[:, None]
        self.mask_RL = torch.zeros(hidden_RL.shape, device=device).masked_fill_(hidden_RL, float("-inf"))
        side = max((min(QUERY_BLOCK, prompt.stop - prompt.start) for prompt in prompts), default=0)
        self.future = torch.full((side, side), float("-inf"), device=device).triu_(1)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Query (1, N, T, D), key (1, G, T, D), value (1, G, T, E) to (1, T, N, E); T packed as by `StepLayout`."""
        query, key = query.to(value.dtype) * scale, key.to(value.dtype)
        q_TND, k_TGD, v_TGD = (x[0].transpose(0, 1) for x in (query, key, value))
        keys, values = self.cache.layer(layer, value, key.shape[3])
        parts = []
        with torch.autocast(value.device.type, enabled=False), _thin_products():
            done = self.num_rows
            if done:
                parts.append(self._rows(q_TND[:done], k_TGD[:done], v_TGD[:done], keys, values))
            for prompt in self.prompts:
                new = slice(done, done + prompt.stop - prompt.start)
                keys[prompt.row, :, :, prompt.start : prompt.stop] = k_TGD[new].permute(1, 2, 0)
                values[prompt.row, :, prompt.start : prompt.stop] = v_TGD[new].transpose(0, 1)
                parts += _causal(q_TND[new], keys[prompt.row], values[prompt.row], prompt.start, self.future)
                done = new.stop
        return torch.cat(parts)[None]

    def _rows(self, q_RND: Tensor, k_RGD: Tensor, v_RGD: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows, groups, width = k_RGD.shape
        longest = self.longest_row
        position = self.position_R[:, None, None, None]
        keys[:rows].scatter_(3, position.expand(rows, groups, width, 1), k_RGD[..., None])
        values[:rows].scatter_(2, position.expand(rows, groups, 1, v_RGD.shape[2]), v_RGD[:, :, None])
        q = q_RND.reshape(rows * groups, -1, width)
        scores = torch.bmm(q, keys[:rows].flatten(0, 1)[..., :longest])
        scores.view(rows, -1, longest).add_(self.mask_RL[:, None])
        out = torch.bmm(torch.softmax(scores, dim=-1), values[:rows].flatten(0, 1)[:, :longest])
        return out.view(rows, -1, out.shape[-1])


def _causal(q_SND: Tensor, keys_GDL: Tensor, values_GLD: Tensor, start: int, future: Tensor) -> Iterator[Tensor]:
    """Attention of new tokens at positions start, start + 1, ... over their row, in blocks (S, N, D)."""
    groups, width = keys_GDL.shape[:2]
    for low in range(0, len(q_SND), QUERY_BLOCK):
        block = q_SND[low : low + QUERY_BLOCK]
        rows, stop = len(block), start + low + len(block)
        q = block.transpose(0, 1).reshape(groups, -1, width)
        scores = torch.bmm(q, keys_GDL[..., :stop])
        scores.view(groups, -1, rows, stop)[..., -rows:] += future[:rows, :rows]
        out = torch.bmm(torch.softmax(scores, dim=-1), values_GLD[:, :stop])
        yield out.view(-1, rows, out.shape[-1]).transpose(0, 1)


@contextmanager
def _thin_products() -> Iterator[None]:
    """A context that uses BLAS for products of a few rows, where it is faster than oneDNN."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)

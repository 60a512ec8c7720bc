"""Store encoded demonstrations and labelled responses in flat columns, with any number of sequences per item.

Pairs have their own store (`store.py`), in which the two responses share a prompt and are sorted without being built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from penchant.tokens.columns import Columns, ColumnsWriter, Layout
from penchant.tokens.demonstrations import EncodedExample
from penchant.tokens.forest import TokenSequence
from penchant.tokens.labelled_responses import EncodedLabelled

__all__ = ["ItemStore", "ItemWriter", "SomeItems"]

COLUMNS: Layout = {
    "ids": (np.uint32, 0),
    "scored": (np.bool_, 0),
    "weights": (np.float32, 0),
    "ends": (np.int64, 2),
    "keys": (np.uint8, 16),
    "items": (np.int64, 0),
    "labels": (np.float64, 2),
    "files": (np.int32, 0),
    "lines": (np.int64, 0),
}
"""Type and width. ids, scored: of one token after another. weights: of the scored tokens, of sequences that have any.
ends: of each sequence, where it ends in ids and in weights. keys: of each sequence. items: of each item, where its
sequences end. labels: whether a labelled response is desirable, and its weight."""


class ItemStore(Columns, Sequence[Any]):
    """Every item that was written, in order; facts["kind"]: "demonstrations" or "labelled"."""

    layout = COLUMNS

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> SomeItems: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return SomeItems(self, range(len(self))[index])
        row = range(len(self))[index]
        ends = self.columns["items"]
        sequences = tuple(self._sequence(i) for i in range(int(ends[row - 1]) if row else 0, int(ends[row])))
        if self.facts["kind"] == "demonstrations":
            return EncodedExample(sequences, self.origin(row))
        desirable, weight = (float(label) for label in self.columns["labels"][row])
        own, mismatch = sequences
        return EncodedLabelled(own, mismatch, bool(desirable), weight, self.origin(row))

    def _sequence(self, number: int) -> TokenSequence:
        ends = self.columns["ends"]
        token, weight = map(int, ends[number - 1]) if number else (0, 0)
        last_token, last_weight = map(int, ends[number])
        weights: NDArray[np.float32] | None = None
        if last_weight > weight:
            weights = self.columns["weights"][weight:last_weight].copy()
        ids = self.columns["ids"][token:last_token].astype(np.int64)
        found = TokenSequence(ids, self.columns["scored"][token:last_token].copy(), weights)
        found.__dict__["key"] = bytes(self.columns["keys"][number])  # in place of its digest, which is the same
        return found


class SomeItems(Sequence[Any]):
    """Some items of a store, in order. rows: which."""

    def __init__(self, store: ItemStore, rows: range) -> None:
        self.store, self.rows = store, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> SomeItems: ...

    def __getitem__(self, index: int | slice) -> Any:
        return SomeItems(self.store, self.rows[index]) if isinstance(index, slice) else self.store[self.rows[index]]


class ItemWriter(ColumnsWriter[ItemStore]):
    """Takes items in order."""

    kind = ItemStore

    def __init__(self, files: Any) -> None:
        super().__init__(files)
        self._num_sequences = self._num_weights = 0

    def add(self, item: EncodedExample | EncodedLabelled) -> None:
        """An item, with the sequences that a reference scores where there are such."""
        if isinstance(item, EncodedLabelled):
            sequences: tuple[TokenSequence, ...] = item.referenced
            labels = float(item.desirable), item.weight
        else:
            sequences, labels = item.sequences, (1.0, 1.0)
        weights = [np.empty(0, np.float32) if one.weights is None else one.weights for one in sequences]
        lengths = np.array([(len(one), len(of)) for one, of in zip(sequences, weights, strict=True)], dtype=np.int64)
        ends = np.cumsum(lengths, axis=0) + np.array([self.num_tokens, self._num_weights])
        self.num_tokens, self._num_weights = map(int, ends[-1])
        self._num_sequences += len(sequences)
        self._put(
            item.origin,
            ids=np.concatenate([one.ids for one in sequences]),
            scored=np.concatenate([one.scored for one in sequences]),
            weights=np.concatenate(weights),
            ends=ends.reshape(-1),
            keys=np.frombuffer(b"".join(one.key for one in sequences), dtype=np.uint8),
            items=self._num_sequences,
            labels=labels,
        )

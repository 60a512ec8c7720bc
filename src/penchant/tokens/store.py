"""Store encoded pairs in flat columns, building a pair on access."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from penchant.tokens.columns import Columns, ColumnsWriter, Layout
from penchant.tokens.forest import TokenSequence, behind
from penchant.tokens.order import groups_in_order, order_key
from penchant.tokens.pairs import EncodedPair

__all__ = ["PairStore", "Responses", "SomePairs", "StoreWriter"]

COLUMNS: Layout = {
    "ids": (np.uint32, 0),
    "ends": (np.int64, 3),
    "labels": (np.float64, 3),
    "keys": (np.uint8, 32),
    "prompts": (np.uint64, 0),
    "files": (np.int32, 0),
    "lines": (np.int64, 0),
    "records": (np.int64, 0),
    "places": (np.float64, 0),
}
"""Type and width. ids: prompt, chosen and rejected of one pair after another; ends: where each of them ends there.
labels: weight, probability, margin. keys: those of the two sequences. prompts: a digest of the prompt's ids. records:
which of the records that were read the pair is of. places: of every record, where its prompt stands for the split."""
ROWS_AT_ONCE = 4096
ROWS_RELEASED = 1 << 18
"""The number of rows read in order after which the files' memory is released."""


class PairStore(Columns, Sequence[EncodedPair]):
    """Every pair that was written, in order."""

    layout = COLUMNS

    @overload
    def __getitem__(self, index: int) -> EncodedPair: ...

    @overload
    def __getitem__(self, index: slice) -> SomePairs: ...

    def __getitem__(self, index: int | slice) -> EncodedPair | SomePairs:
        if isinstance(index, slice):
            return SomePairs(self, np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self)
        weight, probability, margin = (float(label) for label in self.columns["labels"][row])
        sides = self.sequence(row, 0), self.sequence(row, 1)
        return EncodedPair(*sides, weight, probability, margin, self.origin(row))

    def distinct_labels(self) -> NDArray[np.float64]:
        """The distinct (weight, probability, margin) of pairs, (n, 3)."""
        labels, found = self.columns["labels"], np.empty((0, 3))
        for start in range(0, len(labels), ROWS_RELEASED):
            found = np.unique(np.concatenate([found, labels[start : start + ROWS_RELEASED]]), axis=0)
        return found

    def in_order(self, numbers: NDArray[np.int64], tie: Callable[[int], Any]) -> Iterator[int]:
        """Indices of `numbers`, which name sequences (2 * row, and 1 more for the rejected one), in token order.

        tie: the order of equal sequences, by index.
        """
        where = np.arange(len(numbers))
        for group in groups_in_order(where, lambda which, depth: self._tokens_at(numbers[which], depth)):
            found = [(order_key(self._ids(*divmod(int(numbers[i]), 2))[0]), tie(i), i) for i in group.tolist()]
            self.release()
            yield from (i for *_, i in sorted(found))

    def _ids(self, row: int, side: int) -> tuple[NDArray[np.int64], int]:
        """The ids of a sequence, and the length of its prompt."""
        begin = int(self.columns["ends"][row - 1, 2]) if row else 0
        prompt, chosen, rejected = (int(end) for end in self.columns["ends"][row])
        ids = self.columns["ids"]
        if side == 0:
            return ids[begin:chosen].astype(np.int64), prompt - begin
        return np.concatenate([ids[begin:prompt], ids[chosen:rejected]]).astype(np.int64), prompt - begin

    def sequence(self, row: int, side: int) -> TokenSequence:
        """The chosen (0) or the rejected (1) response of a pair."""
        found = _sequence(*self._ids(row, side))
        found.__dict__["key"] = self.key(row, side)  # in place of its digest, which is the same
        return found

    def key(self, row: int, side: int) -> bytes:
        """The key of that sequence."""
        return bytes(self.columns["keys"][row, 16 * side : 16 * side + 16])

    def _tokens_at(self, numbers: NDArray[np.int64], depth: int) -> NDArray[np.uint64]:
        """Two tokens of each sequence as one number, see `groups_in_order`."""
        found = np.empty(len(numbers), dtype=np.uint64)
        ends, ids = self.columns["ends"], self.columns["ids"]
        for start in range(0, len(numbers), ROWS_RELEASED):
            rows, sides = np.divmod(numbers[start : start + ROWS_RELEASED], 2)
            prompt, chosen, rejected = ends[rows].T
            begin = np.where(rows > 0, ends[np.maximum(rows - 1, 0), 2], 0)
            gap, end = np.where(sides == 1, chosen - prompt, 0), np.where(sides == 1, rejected, chosen)
            both = np.zeros((2, len(rows)), dtype=np.uint64)
            for i in range(2):
                at = begin + depth + i
                at += np.where(at >= prompt, gap, 0)
                inside = at < end
                both[i, inside] = ids[at[inside]].astype(np.uint64) + 1
            found[start : start + ROWS_RELEASED] = (both[0] << np.uint64(32)) | both[1]
            self.release()
        return found


class SomePairs(Sequence[EncodedPair]):
    """Some pairs of a store, in order. rows: their indices. change: a function applied to a pair on access."""

    def __init__(
        self,
        store: PairStore,
        rows: NDArray[np.int64],
        change: Callable[[EncodedPair], EncodedPair] | None = None,
    ) -> None:
        self.store, self.rows, self._change = store, rows, change

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> EncodedPair: ...

    @overload
    def __getitem__(self, index: slice) -> SomePairs: ...

    def __getitem__(self, index: int | slice) -> EncodedPair | SomePairs:
        if isinstance(index, slice):
            return SomePairs(self.store, self.rows[index], self._change)
        pair = self.store[int(self.rows[index])]
        return pair if self._change is None else self._change(pair)

    def response(self, index: int, side: int) -> TokenSequence:
        """The chosen (0) or the rejected (1) response of a pair."""
        if self._change is None:
            return self.store.sequence(int(self.rows[index]), side)
        return self[index].sequences[side]

    def response_key(self, index: int, side: int) -> bytes:
        """The key of that sequence."""
        if self._change is None:
            return self.store.key(int(self.rows[index]), side)
        return self[index].sequences[side].key

    def changed(self, change: Callable[[EncodedPair], EncodedPair]) -> SomePairs:
        """The same pairs with `change` applied to each."""
        return SomePairs(self.store, self.rows, change)

    @property
    def prompts(self) -> NDArray[np.uint64]:
        """A digest of every pair's prompt."""
        return np.asarray(self.store.columns["prompts"][self.rows])

    @property
    def labels(self) -> NDArray[np.float64]:
        """Weight, probability and margin of every pair, (n, 3)."""
        return np.asarray(self.store.columns["labels"][self.rows])

    def in_token_order(self) -> Iterator[int]:
        """Indices in the order of the tokens of the chosen sequences; of equal ones the first comes first."""
        return self.store.in_order(2 * self.rows, lambda i: i)

    def keys(self) -> Iterator[bytes]:
        """The keys of the sequences, chosen and rejected alternating, in bulk."""
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            yield self.store.columns["keys"][self.rows[start : start + ROWS_AT_ONCE]].tobytes()

    def response_lengths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of tokens of the chosen and the rejected response of every pair."""
        ends = np.asarray(self.store.columns["ends"][self.rows])
        return ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 1]


class Responses(Sequence[TokenSequence]):
    """The sequences of some pairs of one store, chosen and rejected alternating, each built on access."""

    def __init__(self, *sides: SomePairs) -> None:
        self._sides = sides
        self._rows = np.concatenate([side.rows for side in sides])
        self._starts = np.cumsum([0, *(len(side) for side in sides)])

    def __len__(self) -> int:
        return 2 * len(self._rows)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...

    @overload
    def __getitem__(self, index: slice) -> list[TokenSequence]: ...

    def __getitem__(self, index: int | slice) -> TokenSequence | list[TokenSequence]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        pairs, pair, side = self._place(index)
        return pairs.response(pair, side)

    def key(self, index: int) -> bytes:
        """The key of a sequence."""
        pairs, pair, side = self._place(index)
        return pairs.response_key(pair, side)

    def _place(self, index: int) -> tuple[SomePairs, int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        pair, side = divmod(index, 2)
        which = int(np.searchsorted(self._starts, pair, side="right")) - 1
        return self._sides[which], pair - int(self._starts[which]), side

    def in_token_order(self) -> Iterator[int]:
        """Indices in token order; equal sequences are adjacent."""
        numbers = np.repeat(2 * self._rows, 2)
        numbers[1::2] += 1
        return self._sides[0].store.in_order(numbers, self.key)


class StoreWriter(ColumnsWriter[PairStore]):
    """Writes pairs in order."""

    kind = PairStore

    def place(self, place: float) -> None:
        """Add the place of the next record, see `penchant.data.split`."""
        self._waiting["places"].append(place)

    def add(self, pair: EncodedPair, record: int) -> None:
        """A pair, of record number `record` from 0."""
        prompt = pair.chosen.ids[~pair.chosen.scored]
        chosen, rejected = (side.ids[side.scored] for side in pair.sequences)
        ends = np.cumsum([len(prompt), len(chosen), len(rejected)]) + self.num_tokens
        self.num_tokens = int(ends[-1])
        self._put(
            pair.origin,
            ids=np.concatenate([prompt, chosen, rejected]),
            ends=ends,
            labels=(pair.weight, pair.probability, pair.margin),
            keys=np.frombuffer(pair.chosen.key + pair.rejected.key, dtype=np.uint8),
            prompts=int.from_bytes(hashlib.blake2b(prompt.tobytes(), digest_size=8).digest(), "little"),
            records=record,
        )

    def extend(self, columns: Mapping[str, NDArray[Any]], file: str) -> None:
        """Many pairs of one file, as columns."""
        self._flush()
        self._sources.setdefault((False, file), len(self._sources))
        for name in COLUMNS:
            self._append(name, columns[name])
        self.num_tokens = int(columns["ends"][-1, 2])


def _sequence(ids: NDArray[np.int64], num_prompt: int) -> TokenSequence:
    return TokenSequence(ids, behind(num_prompt, len(ids)))

"""Encoded pairs in flat columns, in memory or in the files of a folder, of which a pair is built when it is asked for.

A folder is written whole or not at all, with the size and the sha256 of every column, and its columns are mapped into
memory, so that what is held does not grow with what is stored.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from penchant.data import Origin
from penchant.data.records import RowOrigin
from penchant.errors import DataError
from penchant.files.whole import replacing_folder
from penchant.tokens.forest import TokenSequence, behind
from penchant.tokens.order import groups_in_order, order_key
from penchant.tokens.pairs import EncodedPair

__all__ = ["DamagedStore", "PairStore", "Responses", "SomePairs", "StoreWriter"]

COLUMNS: dict[str, tuple[type[np.generic], int]] = {
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
FACTS = "facts.json"
ROWS_AT_ONCE = 4096
ROWS_RELEASED = 1 << 18
"""After so many rows that were read in order, the memory in which their files lie is given back."""


class DamagedStore(Exception):
    """A folder that does not hold what was written there."""


class PairStore(Sequence[EncodedPair]):
    """facts: what was written beside the columns, as JSON has it."""

    def __init__(
        self, columns: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], mapped: Sequence[mmap.mmap] = ()
    ) -> None:
        self.columns = columns
        self._mapped = mapped
        self.facts = facts
        self._kinds = [(RowOrigin if in_memory else Origin, file) for in_memory, file in facts["files"]]

    @classmethod
    def open(cls, folder: Path) -> PairStore:
        """What a folder holds. Raises DamagedStore where it is not what was written, FileNotFoundError for none."""
        text = (folder / FACTS).read_bytes()
        try:
            facts = json.loads(text)
            written: dict[str, list[Any]] = facts["columns"]
            if set(written) != set(COLUMNS) or facts["sha256"] != _digest_of_facts(facts):
                raise DamagedStore(f"{FACTS} is not what was written")
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedStore(f"{FACTS} cannot be read ({error})") from error
        columns: dict[str, NDArray[Any]] = {}
        mapped = []
        for name, (size, digest) in written.items():
            path = folder / f"{name}.bin"
            with path.open("rb") as stream:
                if path.stat().st_size != size or hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                    raise DamagedStore(f"{path.name} is not what was written")
            dtype, width = COLUMNS[name]
            flat = np.empty(0, dtype=dtype)
            if size:
                with path.open("rb") as stream:
                    mapped.append(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
                flat = np.frombuffer(mapped[-1], dtype=dtype)
            columns[name] = flat.reshape(-1, width) if width else flat
        return cls(columns, facts, mapped)

    def __len__(self) -> int:
        return len(self.columns["lines"])

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
        kind, file = self._kinds[int(self.columns["files"][row])]
        return EncodedPair(
            self.sequence(row, 0),
            self.sequence(row, 1),
            weight,
            probability,
            margin,
            kind(file=file, line=int(self.columns["lines"][row])),
        )

    def num_bytes(self) -> int:
        """What the columns take."""
        return sum(column.nbytes for column in self.columns.values())

    def distinct_labels(self) -> NDArray[np.float64]:
        """Weight, probability and margin of each kind of pair that there is, (n, 3)."""
        labels, found = self.columns["labels"], np.empty((0, 3))
        for start in range(0, len(labels), ROWS_RELEASED):
            found = np.unique(np.concatenate([found, labels[start : start + ROWS_RELEASED]]), axis=0)
        return found

    def release(self) -> None:
        """Give back the memory in which parts of the files lie that were read; they are read anew where asked for."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for file in self._mapped:
                file.madvise(mmap.MADV_DONTNEED)

    def in_order(self, numbers: NDArray[np.int64], tie: Callable[[int], Any]) -> Iterator[int]:
        """Indices of `numbers`, which name sequences (2 * row, and 1 more for the rejected one), in token order.

        tie: of an index, what decides between sequences of equal tokens.
        """
        where = np.arange(len(numbers))
        for group in groups_in_order(where, lambda which, depth: self._tokens_at(numbers[which], depth)):
            found = [(order_key(self._ids(*divmod(int(numbers[i]), 2))[0]), tie(i), i) for i in group.tolist()]
            self.release()
            yield from (i for *_, i in sorted(found))

    def _ids(self, row: int, side: int) -> tuple[NDArray[np.int64], int]:
        """The ids of a sequence, and how many of them are its prompt's."""
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
    """Some pairs of a store, in order. rows: which. change: what is made of a pair when it is asked for."""

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
        """The same pairs, each as `change` makes it."""
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
        """The keys of the sequences, chosen and rejected in turn, many at once."""
        for start in range(0, len(self.rows), ROWS_AT_ONCE):
            yield self.store.columns["keys"][self.rows[start : start + ROWS_AT_ONCE]].tobytes()

    def response_lengths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens of the chosen and of the rejected response of every pair."""
        ends = np.asarray(self.store.columns["ends"][self.rows])
        return ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 1]


class Responses(Sequence[TokenSequence]):
    """The sequences of some pairs of one store, chosen and rejected in turn, each built when it is asked for."""

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
        """Indices in the order of their tokens; equal sequences stand together."""
        numbers = np.repeat(2 * self._rows, 2)
        numbers[1::2] += 1
        return self._sides[0].store.in_order(numbers, self.key)


class StoreWriter:
    """Takes pairs in order, keeping no more of them than a few thousand where it writes to files."""

    def __init__(self, files: Mapping[str, BinaryIO] | None) -> None:
        self._files = files
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
        self._waiting: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self._digests = {name: hashlib.sha256() for name in COLUMNS}
        self._sizes = dict.fromkeys(COLUMNS, 0)
        self._sources: dict[tuple[bool, str], int] = {}
        self.num_tokens = 0

    @classmethod
    @contextmanager
    def into(cls, folder: Path) -> Iterator[StoreWriter]:
        """A writer whose pairs are in `folder` when the block ends, after `finish`; else nothing is. Raises OSError."""
        with replacing_folder(folder, last=FACTS) as scratch, ExitStack() as stack:
            files = {name: stack.enter_context((scratch / f"{name}.bin").open("wb")) for name in COLUMNS}
            writer = cls(files)
            writer._scratch = scratch
            yield writer

    _scratch: Path | None = None

    def place(self, place: float) -> None:
        """The place of the next record that is read, see `penchant.data.split`."""
        self._waiting["places"].append(place)

    def add(self, pair: EncodedPair, record: int) -> None:
        """A pair, of record number `record` from 0."""
        prompt = pair.chosen.ids[~pair.chosen.scored]
        chosen, rejected = (side.ids[side.scored] for side in pair.sequences)
        ends = np.cumsum([len(prompt), len(chosen), len(rejected)]) + self.num_tokens
        self.num_tokens = int(ends[-1])
        origin = pair.origin
        source = isinstance(origin, RowOrigin), origin.file
        for name, value in (
            ("ids", np.concatenate([prompt, chosen, rejected])),
            ("ends", ends),
            ("labels", (pair.weight, pair.probability, pair.margin)),
            ("keys", np.frombuffer(pair.chosen.key + pair.rejected.key, dtype=np.uint8)),
            ("prompts", int.from_bytes(hashlib.blake2b(prompt.tobytes(), digest_size=8).digest(), "little")),
            ("files", self._sources.setdefault(source, len(self._sources))),
            ("lines", origin.line),
            ("records", record),
        ):
            self._waiting[name].append(value)
        if len(self._waiting["lines"]) >= ROWS_AT_ONCE:
            self._flush()

    def extend(self, columns: Mapping[str, NDArray[Any]], file: str) -> None:
        """Many pairs of one file, as columns."""
        self._flush()
        self._sources.setdefault((False, file), len(self._sources))
        for name in COLUMNS:
            self._append(name, columns[name])
        self.num_tokens = int(columns["ends"][-1, 2])

    def finish(self, facts: Mapping[str, Any]) -> PairStore | None:
        """The store where it is in memory; else None, and it is opened once the block of `into` has ended."""
        self._flush()
        facts = {**facts, "files": [[in_memory, file] for in_memory, file in self._sources]}
        if self._files is None:
            columns = {}
            for name, (dtype, width) in COLUMNS.items():
                flat = np.concatenate([*self._parts[name], np.empty(0, dtype=dtype)]).astype(dtype, copy=False)
                columns[name] = flat.reshape(-1, width) if width else flat
            return PairStore(columns, facts)
        for file in self._files.values():
            file.flush()
        facts["columns"] = {name: [self._sizes[name], self._digests[name].hexdigest()] for name in COLUMNS}
        facts["sha256"] = _digest_of_facts(facts)
        assert self._scratch is not None
        (self._scratch / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        return None

    def _flush(self) -> None:
        for name in COLUMNS:
            values, self._waiting[name] = self._waiting[name], []
            if not values:
                continue
            if name == "ids" and max(int(one.max()) for one in values) >= np.iinfo(np.uint32).max:
                raise DataError("a token's id is above 4,294,967,294, which no vocabulary here has")
            self._append(name, np.concatenate(values) if name == "ids" else np.array(values))

    def _append(self, name: str, values: NDArray[Any]) -> None:
        part = np.ascontiguousarray(values.astype(COLUMNS[name][0]).reshape(-1))
        self._sizes[name] += part.nbytes
        if self._files is None:
            self._parts[name].append(part)
        else:
            self._digests[name].update(part.data)
            self._files[name].write(part.data)


def _sequence(ids: NDArray[np.int64], num_prompt: int) -> TokenSequence:
    return TokenSequence(ids, behind(num_prompt, len(ids)))


def _digest_of_facts(facts: Mapping[str, Any]) -> str:
    told = {name: value for name, value in facts.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

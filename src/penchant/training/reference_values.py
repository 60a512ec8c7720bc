"""A store of numbers by 16-byte keys: sorted arrays in memory, and append-only files in a folder.

Every run appends to its own file, so that writers do not interfere; a truncated file ends with a partial entry, which
is ignored.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReferenceCache", "Values"]

ENTRY = np.dtype([("key", "V16"), ("value", "<f8")])


class Values(Mapping[bytes, float]):
    """A value for each of many keys, in 24 bytes per key."""

    def __init__(self, keys: NDArray[np.void], values: NDArray[np.float64]) -> None:
        """keys: 16 bytes each; the first value of a key counts."""
        first, second = _halves(keys)
        order = np.argsort(first, kind="stable")
        self._first, self._second, self._values = first[order], second[order], values[order]

    def find(self, keys: Sequence[bytes]) -> NDArray[np.float64] | None:
        """The value of each key; None if a key has none."""
        first, second = _halves(np.frombuffer(b"".join(keys), dtype="V16"))
        begins, ends = (np.searchsorted(self._first, first, side=side) for side in ("left", "right"))
        found = np.empty(len(keys))
        for i, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            (same,) = np.nonzero(self._second[begin:end] == second[i])
            if not len(same):
                return None
            found[i] = self._values[begin + same[0]]
        return found

    def __getitem__(self, key: bytes) -> float:
        found = self.find([key])
        if found is None:
            raise KeyError(key)
        return float(found[0])

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[bytes]:
        for first, second in zip(self._first, self._second, strict=True):
            yield int(first).to_bytes(8, "big") + int(second).to_bytes(8, "big")


class ReferenceCache:
    """The cache for one set of weights and numerics mode; folder: its location, None disables it."""

    def __init__(self, folder: Path | None, digest: str, mode: str) -> None:
        self._folder, self._stem = folder, f"{digest[:32]}-{mode}."
        self._file: BinaryIO | None = None
        parts = [_entries_of(path) for path in self.files()]
        entries = np.concatenate(parts) if parts else np.empty(0, dtype=ENTRY)
        self._values = Values(np.ascontiguousarray(entries["key"]), np.ascontiguousarray(entries["value"]))

    def files(self) -> list[Path]:
        """Its files."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.name.startswith(self._stem))

    @property
    def has_values(self) -> bool:
        """Whether there were any values at the start."""
        return bool(self._values)

    def find(self, keys: Sequence[bytes]) -> NDArray[np.float64] | None:
        """The values that existed at the start; None if one is missing."""
        return self._values.find(keys)

    def add(self, keys: Sequence[bytes], values: Sequence[float]) -> None:
        """Store values so that they survive a kill of the process. Raises OSError."""
        if self._folder is None:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / f"{self._stem}{secrets.token_hex(6)}").open("xb", buffering=0)
        entries = np.empty(len(keys), dtype=ENTRY)
        entries["key"], entries["value"] = np.frombuffer(b"".join(keys), dtype="V16"), values
        self._file.write(entries.tobytes())

    def close(self) -> None:
        """Sync the added values to disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """Delete all values, also on disk."""
        self.close()
        for path in self.files():
            path.unlink(missing_ok=True)
        self._values = Values(np.empty(0, dtype="V16"), np.empty(0))


def _entries_of(path: Path) -> NDArray[np.void]:
    with path.open("rb") as file:
        return np.fromfile(file, dtype=ENTRY)


def _halves(keys: NDArray[np.void]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The keys as two numbers each, which sort in the same order."""
    halves = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)

"""Flat columns of numbers, in memory or in a folder's files, from which items are built on access.

A folder is written atomically, with the size and the sha256 of every column, and its columns are memory-mapped, so that
memory does not grow with what is stored.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant.data import Origin
from penchant.data.records import RowOrigin
from penchant.errors import DataError
from penchant.files.whole import replacing_folder

__all__ = ["Columns", "ColumnsWriter", "DamagedStore", "Layout"]

Layout = Mapping[str, tuple[type[np.generic], int]]
"""The type of every column, and its width if above one number."""
FACTS = "facts.json"
ROWS_AT_ONCE = 4096


class DamagedStore(Exception):
    """The content of a folder has changed since it was written."""


class Columns:
    """facts: JSON values stored beside the columns. Files and lines give the origin of each row."""

    layout: ClassVar[Layout]

    def __init__(
        self, columns: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], mapped: Sequence[mmap.mmap] = ()
    ) -> None:
        self.columns = columns
        self._mapped = mapped
        self.facts = facts
        self._kinds = [(RowOrigin if in_memory else Origin, file) for in_memory, file in facts["files"]]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder. Raises DamagedStore if its content has changed, FileNotFoundError if there is none."""
        text = (folder / FACTS).read_bytes()
        try:
            facts = json.loads(text)
            written: dict[str, list[Any]] = facts["columns"]
            if set(written) != set(cls.layout) or facts["sha256"] != _digest_of_facts(facts):
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
            dtype, width = cls.layout[name]
            flat = np.empty(0, dtype=dtype)
            if size:
                with path.open("rb") as stream:
                    mapped.append(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
                flat = np.frombuffer(mapped[-1], dtype=dtype)
            columns[name] = flat.reshape(-1, width) if width else flat
        return cls(columns, facts, mapped)

    def __len__(self) -> int:
        return len(self.columns["lines"])

    def origin(self, row: int) -> Origin:
        """The origin of the row."""
        kind, file = self._kinds[int(self.columns["files"][row])]
        return kind(file=file, line=int(self.columns["lines"][row]))

    def num_bytes(self) -> int:
        """The size of the columns."""
        return sum(column.nbytes for column in self.columns.values())

    def release(self) -> None:
        """Release the memory of file parts that were read; they are reread on access."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for file in self._mapped:
                file.madvise(mmap.MADV_DONTNEED)


Store = TypeVar("Store", bound=Columns)


class ColumnsWriter(Generic[Store]):
    """Writes rows in order; for files, at most a few thousand rows are kept in memory."""

    kind: type[Store]

    def __init__(self, files: Mapping[str, BinaryIO] | None) -> None:
        self._files = files
        names = self.kind.layout
        self._parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
        self._waiting: dict[str, list[Any]] = {name: [] for name in names}
        self._digests = {name: hashlib.sha256() for name in names}
        self._sizes = dict.fromkeys(names, 0)
        self._sources: dict[tuple[bool, str], int] = {}
        self.num_tokens = 0

    @classmethod
    @contextmanager
    def into(cls, folder: Path) -> Iterator[Self]:
        """A context with a writer; the rows are in `folder` if `finish` was called, otherwise none. Raises OSError."""
        with replacing_folder(folder, last=FACTS) as scratch, ExitStack() as stack:
            files = {name: stack.enter_context((scratch / f"{name}.bin").open("wb")) for name in cls.kind.layout}
            writer = cls(files)
            writer._scratch = scratch
            yield writer

    _scratch: Path | None = None

    def _put(self, origin: Origin, **values: Any) -> None:
        """Add a row: for every column a number, a tuple of numbers, or an array of any length."""
        source = isinstance(origin, RowOrigin), origin.file
        values |= {"files": self._sources.setdefault(source, len(self._sources)), "lines": origin.line}
        for name, value in values.items():
            self._waiting[name].append(value)
        if len(self._waiting["lines"]) >= ROWS_AT_ONCE:
            self._flush()

    def finish(self, facts: Mapping[str, Any]) -> Store | None:
        """Return the store if it is in memory; else None, to be opened after the block of `into`."""
        self._flush()
        facts = {**facts, "files": [[in_memory, file] for in_memory, file in self._sources]}
        if self._files is None:
            columns = {}
            for name, (dtype, width) in self.kind.layout.items():
                flat = np.concatenate([*self._parts[name], np.empty(0, dtype=dtype)]).astype(dtype, copy=False)
                columns[name] = flat.reshape(-1, width) if width else flat
            return self.kind(columns, facts)
        for file in self._files.values():
            file.flush()
        facts["columns"] = {name: [self._sizes[name], self._digests[name].hexdigest()] for name in self.kind.layout}
        facts["sha256"] = _digest_of_facts(facts)
        assert self._scratch is not None
        (self._scratch / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        return None

    def _flush(self) -> None:
        for name in self.kind.layout:
            values, self._waiting[name] = self._waiting[name], []
            if not values:
                continue
            if name == "ids" and max(int(one.max()) for one in values) >= np.iinfo(np.uint32).max:
                raise DataError(
                    "a token id is above 4,294,967,294, the largest that can be stored; use another tokenizer"
                )
            self._append(name, np.concatenate(values) if isinstance(values[0], np.ndarray) else np.array(values))

    def _append(self, name: str, values: NDArray[Any]) -> None:
        part = np.ascontiguousarray(values.astype(self.kind.layout[name][0]).reshape(-1))
        self._sizes[name] += part.nbytes
        if self._files is None:
            self._parts[name].append(part)
        else:
            self._digests[name].update(part.data)
            self._files[name].write(part.data)


def _digest_of_facts(facts: Mapping[str, Any]) -> str:
    told = {name: value for name, value in facts.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

"""Store tensors in one file per rank: each writes its shards, and reads what it needs from any file.

A file's metadata gives the offset of each shard in its tensor, in the format of torch.distributed.checkpoint's Hugging
Face storage, which reads these files too. Its writer is not used, as its ranks communicate by pickle. The file of a
single process contains whole tensors, and is read in the same way.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from penchant import ranks
from penchant.models.sharded import are_sharded, begin_of, own_slice

__all__ = [
    "Fingerprint",
    "Slices",
    "are_whole",
    "fingerprint",
    "names_in_slices",
    "on_cpu",
    "own_slices",
    "read_slices",
    "write_slices",
    "write_together",
]

BEGINS, BEGIN = "DCP_SHARDING_INFO", "saved_offsets"


Fingerprint = list[int | str]
"""The size and sha256 of a file."""


@dataclass(frozen=True)
class Slices:
    """One rank's shards of a group of tensors. file: their file name. metadata: of the file's header."""

    file: str
    tensors: Mapping[str, Tensor]
    metadata: dict[str, str] | None


def write_together(place: Path | None, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Fingerprint]:
    """Write groups of tensors, by file name, into the folder given by the first rank, if any.

    If any is sharded all ranks must call this, and each writes its own; else only the first writes. Returns what was
    written, by file name. Raises OSError.
    """
    if not are_sharded(tensor for tensors in parts.values() for tensor in tensors.values()):
        with ranks.by_itself():
            return {} if place is None else write_slices(place, own_slices(parts))
    told = ranks.first(lambda: None if place is None else str(place))
    return dict(ChainMap(*ranks.gather({} if told is None else write_slices(Path(told), own_slices(parts)))))


def own_slices(parts: Mapping[str, Mapping[str, Tensor]], *, copied: bool = False) -> list[Slices]:
    """This rank's shards of groups of tensors, by file name; replicated tensors belong to the first rank.

    copied: whether the result is a copy on the CPU that later steps do not change; otherwise nothing is moved.
    """
    return [_own_slices(tensors, stem, copied=copied) for stem, tensors in parts.items()]


def write_slices(place: Path, slices: Sequence[Slices]) -> dict[str, Fingerprint]:
    """Write them into a folder; returns what was written, by file name. Does not communicate. Raises OSError.

    Of tensors on a GPU, those of one file at a time are moved to the CPU.
    """
    for one in slices:
        save_file(on_cpu(one.tensors), place / one.file, one.metadata)
    return {one.file: fingerprint(place / one.file) for one in slices}


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as a file stores them, contiguous and on the CPU; only those that are not so are copied."""
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}


def fingerprint(file: Path) -> Fingerprint:
    """The current size and sha256 of a file. Raises OSError."""
    with file.open("rb") as stream:
        return [file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()]


def _own_slices(tensors: Mapping[str, Tensor], stem: str, *, copied: bool) -> Slices:
    held, begins = {}, {}
    for name, tensor in tensors.items():
        own = own_slice(tensor)
        if len(own) if own is not tensor else ranks.is_first():
            held[name] = own.detach().to("cpu", copy=True).contiguous() if copied else own.detach()
            begins[name] = {BEGIN: [begin_of(tensor), *[0] * own.dim()][: own.dim()]}
    if ranks.size() == 1:
        return Slices(f"{stem}.safetensors", held, None)
    file = f"{stem}-{ranks.rank() + 1:05d}-of-{ranks.size():05d}.safetensors"
    return Slices(file, held, {"format": "pt", BEGINS: json.dumps(begins)})


@torch.no_grad()
def read_slices(into: Mapping[str, Tensor], folder: Path, stem: str) -> None:
    """Fill tensors, or this rank's shards, bit for bit, from the files of any number of ranks."""
    for file in _files(folder, stem):
        with safe_open(file, "pt") as stored:
            begins = json.loads((stored.metadata() or {}).get(BEGINS, "{}"))
            for name in stored.keys():  # noqa: SIM118
                begin = (begins[name][BEGIN] if begins else []) or [0]
                _fill(into[name], stored.get_slice(name), begin[0])


def names_in_slices(folder: Path, stem: str) -> set[str]:
    """The names of the tensors in these files."""
    names: set[str] = set()
    for file in _files(folder, stem):
        with safe_open(file, "pt") as stored:
            names |= set(stored.keys())
    return names


def are_whole(stem: str, files: Iterable[str]) -> bool:
    """Whether these files include one of whole tensors, or those of all ranks."""
    found = {match["num"] for file in files if (match := _pattern(stem).fullmatch(file))}
    num = sum(_pattern(stem).fullmatch(file) is not None for file in files)
    return len(found) == 1 and num == int(found.pop() or 1)


def _pattern(stem: str) -> re.Pattern[str]:
    return re.compile(rf"{stem}(-\d{{5}}-of-(?P<num>\d{{5}}))?\.safetensors")


def _files(folder: Path, stem: str) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _pattern(stem).fullmatch(file.name))


def _fill(tensor: Tensor, stored: Any, begin: int) -> None:
    """Copy the needed rows from a shard that starts at row `begin` of its tensor."""
    own, shape = own_slice(tensor), stored.get_shape()
    if not shape:
        own.copy_(stored[...])
        return
    mine = begin_of(tensor)
    low, high = max(begin, mine), min(begin + shape[0], mine + len(own))
    if low < high:
        own[low - mine : high - mine].copy_(stored[low - begin : high - begin])

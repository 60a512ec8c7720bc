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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from penchant import ranks
from penchant.models.sharded import are_sharded, begin_of, own_slice

__all__ = ["are_whole", "fingerprint", "names_in_slices", "read_slices", "write_together"]

BEGINS, BEGIN = "DCP_SHARDING_INFO", "saved_offsets"


Fingerprint = list[int | str]
"""The size and sha256 of a file."""


def write_together(place: Path | None, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Fingerprint]:
    """Write groups of tensors, by file name, into the folder given by the first rank, if any.

    If any is sharded all ranks must call this, and each writes its own; else only the first writes. Returns what was
    written, by file name. Raises OSError.
    """
    if not are_sharded(tensor for tensors in parts.values() for tensor in tensors.values()):
        with ranks.by_itself():
            return {} if place is None else _write_own(place, parts)
    told = ranks.first(lambda: None if place is None else str(place))
    return dict(ChainMap(*ranks.gather({} if told is None else _write_own(Path(told), parts))))


def fingerprint(file: Path) -> Fingerprint:
    """The current size and sha256 of a file. Raises OSError."""
    with file.open("rb") as stream:
        return [file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()]


def _write_own(place: Path, parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Fingerprint]:
    files = [_write(tensors, place, stem) for stem, tensors in parts.items()]
    return {file.name: fingerprint(file) for file in files}


def _write(tensors: Mapping[str, Tensor], place: Path, stem: str) -> Path:
    """Write this rank's shard of each tensor; replicated ones are written by the first rank."""
    held, begins = {}, {}
    for name, tensor in tensors.items():
        own = own_slice(tensor)
        if len(own) if own is not tensor else ranks.is_first():
            held[name] = own.detach().cpu().contiguous()
            begins[name] = {BEGIN: [begin_of(tensor), *[0] * own.dim()][: own.dim()]}
    if ranks.size() == 1:
        file, metadata = place / f"{stem}.safetensors", None
    else:
        file = place / f"{stem}-{ranks.rank() + 1:05d}-of-{ranks.size():05d}.safetensors"
        metadata = {"format": "pt", BEGINS: json.dumps(begins)}
    save_file(held, file, metadata)
    return file


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

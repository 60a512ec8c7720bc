"""The models on this machine, from their folders: starters, converted GGUF files, the Hugging Face cache."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penchant.models.cache import cache_folder, is_whole
from penchant.models.starter import STARTERS, installed_starters, starter_path

__all__ = ["COLUMNS", "FoundModel", "models_here"]

COLUMNS = ("model", "kind", "parameters", "size", "licence", "where")
"""The heads of `FoundModel.row`."""


@dataclass(frozen=True)
class FoundModel:
    """name: its name for loading. kind: starter, converted (from GGUF) or hub. size: in bytes. Unknown: None."""

    name: str
    kind: str
    path: str | None
    size: int | None
    num_parameters: int | None
    licence: str | None
    is_here: bool

    def row(self) -> tuple[str, ...]:
        """Name, kind, parameters, size, licence and place, as texts."""
        parameters = "" if self.num_parameters is None else f"{self.num_parameters:,}"
        size = "" if self.size is None else f"{self.size / 1e6:,.0f} MB"
        where = self.path if self.path else "not here yet"
        return self.name, self.kind, parameters, size, self.licence or "", "" if self.name == where else where


def models_here() -> Iterator[FoundModel]:
    """All models found in known folders; uses no network and reads no weights."""
    installed = installed_starters()
    for name, known in STARTERS.items():
        folder = starter_path(name) if name in installed else None
        size = None if folder is None else _size(folder)
        where = None if folder is None else str(folder)
        yield FoundModel(name, "starter", where, size, known.num_parameters, known.licence, folder is not None)
    for folder in sorted((cache_folder() / "models").glob("*/")):
        if folder.name not in STARTERS and is_whole(folder):
            yield FoundModel(str(folder), "converted", str(folder), _size(folder), _num_parameters(folder), None, True)
    yield from _hub_models()


def _hub_models() -> Iterator[FoundModel]:
    """Complete models in the Hugging Face cache: models--OWNER--NAME/snapshots/COMMIT with a config and safetensors."""
    from huggingface_hub.constants import HF_HUB_CACHE

    for repository in sorted(Path(HF_HUB_CACHE).glob("models--*/")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        snapshots = [s for s in (repository / "snapshots").glob("*/") if (s / "config.json").is_file()]
        snapshots = [s for s in snapshots if list(s.glob("*.safetensors"))]
        if snapshots:
            newest = max(snapshots, key=lambda s: s.stat().st_mtime)
            yield FoundModel(name, "hub", str(newest), _size(newest), _num_parameters(newest), None, True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _num_parameters(folder: Path) -> int | None:
    """The number of parameters from safetensors headers; None if one cannot be read."""
    total = 0
    try:
        for file in folder.glob("*.safetensors"):
            with file.open("rb") as stream:
                header = json.loads(stream.read(min(int.from_bytes(stream.read(8), "little"), 100_000_000)))
            total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return total

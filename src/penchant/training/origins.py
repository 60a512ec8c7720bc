"""Where a run came from, as its ledger keeps it: the models it began with, by place and digest, and its data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.data.authors import authors_of_file, votes_behind
from penchant.data.given import FileSource
from penchant.data.standard_input import NAME as STANDARD_INPUT
from penchant.models.digests import digests_of_base, file_sha256, run_of, weights_digest
from penchant.models.language_model import LanguageModel
from penchant.models.load import base_of, resolve
from penchant.training.config import ModelConfig
from penchant.training.provenance import read_provenance

__all__ = ["files_read", "lies_nowhere", "origin_of", "origin_of_loaded", "origins_of"]


def origins_of(config: ModelConfig, model: LanguageModel, reference: LanguageModel | None = None) -> dict[str, Any]:
    """The model that is trained, and its reference where that is another one; `reference` where it is in memory.

    Each has its name as given, path, digest as `LanguageModel.digest` has it, sha256 of the files that decide what it
    computes, and the run it is the model of, or null. An adapter has its base, a GGUF file its own sha256, and an
    exported model what its folder says of where it came from. Of one that lies in no folder only name and digest are
    known.
    """
    origins = {"model": origin_of_loaded(config.name, model)}
    if config.reference is not None:
        origins["reference"] = (
            origin_of(config.reference, resolve(config.reference))
            if reference is None
            else origin_of_loaded(config.reference, reference)
        )
    return origins


def files_read(files: Sequence[FileSource]) -> list[dict[str, Any]]:
    """Path, absolute, and sha256 of every data file; what became of the votes in it, and who answered, where known.

    What was piped in lies nowhere once the process ends, and is `<stdin>`.
    """
    return [_piped(file) if file.is_piped else _file(file.path) for file in files]


def _piped(file: FileSource) -> dict[str, Any]:
    return {"path": STANDARD_INPUT, "sha256": file_sha256(file.path)}


def _file(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": str(file.resolve()), "sha256": file_sha256(file), **authors_of_file(file)}
    if votes := votes_behind(file):
        facts["votes"] = votes
    return facts


def origin_of_loaded(name: str, model: LanguageModel) -> dict[str, Any]:
    """The same of a loaded model; where it lies in no folder, its name and digest, and the base of an adapter."""
    if not model.in_memory:
        return origin_of(name, model.path)
    origin: dict[str, Any] = {"name": name, "digest": model.digest, "path": None, "run": None, "files": {}}
    if model.is_adapter:
        origin["base"] = _place(base_of(model.path))
    return origin


def lies_nowhere(origin: Mapping[str, Any]) -> bool:
    """Whether this origin, as a ledger has it, was in memory alone, so that no folder can be looked into."""
    return origin["path"] is None


def origin_of(name: str, path: Path) -> dict[str, Any]:
    """What a ledger keeps of the model called `name`, which lies in the folder `path`; see `origins_of`."""
    base = base_of(path)
    origin = {"name": name, "digest": weights_digest(path, base), **_place(path)}
    if base != path:
        origin["base"] = _place(base)
    if name.endswith(".gguf"):
        gguf = Path(name).expanduser()
        origin["gguf"] = {"path": str(gguf.resolve()), "sha256": file_sha256(gguf)}
    if (exported := read_provenance(path)) is not None:
        origin["exported"] = exported
    return origin


def _place(path: Path) -> dict[str, Any]:
    run = run_of(path)
    return {"path": str(path.resolve()), "run": run and str(run.resolve()), "files": digests_of_base(path)}

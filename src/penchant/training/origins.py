"""The origins of a run in its ledger: the initial models, by path and digest, and the data files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.data.authors import authors_of_file, votes_behind
from penchant.data.given import FileSource
from penchant.data.standard_input import NAME as STANDARD_INPUT
from penchant.models.digests import digests_of_base, file_sha256, run_of, weights_digest
from penchant.models.language_model import LanguageModel
from penchant.models.names import base_of, resolve
from penchant.training.config import ModelConfig
from penchant.training.provenance import read_provenance

__all__ = ["files_read", "lies_nowhere", "origin_of", "origin_of_loaded", "origins_of"]


def origins_of(config: ModelConfig, model: LanguageModel, reference: LanguageModel | None = None) -> dict[str, Any]:
    """The trained model, and its reference if it is another model; `reference`: the one in memory, if any.

    Each has its name as given, path, digest as in `LanguageModel.digest`, sha256 of the files that decide what it
    computes, and the run whose model it is, or null. An adapter also has its base, a GGUF file its own sha256, and an
    exported model the origin that its folder records. A model without a folder has only name and digest.
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
    """Absolute path and sha256 of every data file, with facts about its votes and annotators if known.

    Standard input is gone once the process ends, and is named `<stdin>`.
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
    """The origin of a loaded model; without a folder, its name and digest, and the base of an adapter."""
    if not model.in_memory:
        return origin_of(name, model.path)
    origin: dict[str, Any] = {"name": name, "digest": model.digest, "path": None, "run": None, "files": {}}
    if model.is_adapter:
        origin["base"] = _place(base_of(model.path))
    return origin


def lies_nowhere(origin: Mapping[str, Any]) -> bool:
    """Whether this origin in a ledger was only in memory, so that no folder can be checked."""
    return origin["path"] is None


def origin_of(name: str, path: Path) -> dict[str, Any]:
    """The ledger's entry for the model `name` in the folder `path`; see `origins_of`."""
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

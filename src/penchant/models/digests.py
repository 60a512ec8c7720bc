"""The sha256 of the files that define a model: recorded when a run ends, compared whenever it is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from penchant.errors import ModelError, OutputError
from penchant.models.ledger import read_ledger

__all__ = [
    "GENERATION_CONFIG",
    "PROVENANCE",
    "QUANTISATION",
    "base_of_run",
    "changed_files",
    "digest_of_network",
    "digests_of_base",
    "digests_of_model",
    "file_sha256",
    "require_base_unchanged",
    "require_run_unchanged",
    "run_of",
    "weights_digest",
]

READ_BY_LOADERS = (".json", ".safetensors", ".jinja", ".model", ".txt")
TEMPLATES = "additional_chat_templates"
"""Transformers reads the templates in this folder too, and a default.jinja there wins over chat_template.jinja."""
ADAPTER_CONFIG = "adapter_config.json"
PROVENANCE = "provenance.json"
"""The origin of an exported model; it is not part of the model."""
QUANTISATION = "quantisation.json"
"""Beside an adapter, the quantisation of its base, in the form of transformers' `quantization_config`."""
GENERATION_CONFIG = "generation_config.json"
"""It says which tokens end an answer."""
CONFIGS = ("config.json", GENERATION_CONFIG, ADAPTER_CONFIG, QUANTISATION)


def file_sha256(file: Path) -> str:
    """sha256 of a file, hex; cached per process while size and modification time are unchanged. Raises OSError."""
    stat = file.stat()
    return _sha256(str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=1024)
def _sha256(file: str, *_: int) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weights_digest(*folders: Path) -> str:
    """sha256 over the sha256 of all weight files, in name order: the model's identity, independent of its path."""
    digest = hashlib.sha256()
    for folder in dict.fromkeys(folders):
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def digest_of_network(network: Any) -> str:
    """sha256 over the names and numbers of all parameters: the identity of a model in memory."""
    digest = hashlib.sha256()
    for name, parameter in sorted(network.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().view(-1).numpy().data)
    return digest.hexdigest()


def digests_of_model(folder: Path) -> dict[str, str]:
    """sha256 of every file of a model folder that a loader may read, by its path in there.

    For an adapter's config, the path of the base model is left out: folders may be moved, and the base model has its
    own digests.
    """
    files = sorted((*folder.iterdir(), *(folder / TEMPLATES).glob("*.jinja")))
    return {
        file.relative_to(folder).as_posix(): _digest_without_base(file)
        if file.name == ADAPTER_CONFIG
        else file_sha256(file)
        for file in files
        if file.is_file() and file.suffix in READ_BY_LOADERS and file.name != PROVENANCE
    }


def _digest_without_base(config: Path) -> str:
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
        content.pop("base_model_name_or_path", None)
    except (ValueError, AttributeError):
        return file_sha256(config)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digests_of_base(folder: Path) -> dict[str, str]:
    """sha256 of the files that decide what a model computes and where it ends, its tokenizer left out."""
    known = digests_of_model(folder)
    return {name: known[name] for name in known if name.endswith(".safetensors") or name in CONFIGS}


def changed_files(written: Mapping[str, str], folder: Path, *, also_new: bool) -> Iterator[str]:
    """The changes to files with these digests, as "NAME has been removed", in name order.

    also_new: whether new files that a loader would read count too.
    """
    there = digests_of_model(folder) if folder.is_dir() else {}
    for name in sorted({*written, *(there if also_new else ())}):
        if name not in there:
            yield f"{name} has been removed"
        elif name not in written:
            yield f"{name} has been added"
        elif there[name] != written[name]:
            yield f"{name} has changed"


def require_run_unchanged(run: Path) -> None:
    """Raise ModelError if the model of a run no longer matches its ledger.

    Runs from before digests were recorded are not checked.
    """
    if (written := _ledger(run).get("model_files")) is None:
        return
    if changed := next(changed_files(written, run / "model", also_new=True), None):
        raise ModelError(
            f"{run / 'model'}: {changed} since the run wrote it, so it is not the model that was trained; restore "
            "the files, or copy the folder elsewhere and use the copy as a model of its own"
        )


def require_base_unchanged(run: Path, base: Path) -> None:
    """Raise ModelError if the base model of a run's adapter has changed since training."""
    written = base_of_run(_ledger(run))
    if written is not None and (changed := next(changed_files(written["files"], base, also_new=False), None)):
        raise ModelError(
            f"{base}: {changed} since {run} was trained on it, so its adapter no longer gives the model that was "
            "trained; restore the files"
        )


def run_of(folder: Path) -> Path | None:
    """The run whose model/ this is, also by way of a link to it; None for any other folder."""
    for place in (folder.absolute(), folder.resolve()):
        if place.name == "model" and (place.parent / "run.json").is_file():
            return place.parent
    return None


def base_of_run(ledger: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Path and files of the base model of a run that trained an adapter; None for others and for old runs.

    Files in the adapter's folder replace those of the base.
    """
    origin, own = (ledger.get("origins") or {}).get("model"), ledger.get("model_files") or ()
    if not origin or ADAPTER_CONFIG not in own:
        return None
    base = origin.get("base") or origin
    files = {name: base["files"][name] for name in base["files"] if name != GENERATION_CONFIG or name not in own}
    return {**base, "files": files}


def _ledger(run: Path) -> dict[str, Any]:
    try:
        return read_ledger(run)
    except OutputError as error:
        raise ModelError(
            f"{error}; or copy {run / 'model'} elsewhere and use the copy as a model of its own"
        ) from error

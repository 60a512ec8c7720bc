"""sha256 of the files that make a model what it is: written down when a run ends, compared whenever it is used."""

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
"""Where an exported model came from; it is not part of what the model is."""
QUANTISATION = "quantisation.json"
"""Beside an adapter, how its base is quantised, as transformers' `quantization_config` says it."""
GENERATION_CONFIG = "generation_config.json"
"""It says which tokens end an answer."""
CONFIGS = ("config.json", GENERATION_CONFIG, ADAPTER_CONFIG, QUANTISATION)


def file_sha256(file: Path) -> str:
    """sha256 of a file, hex; read once a process while size and time of change stay. Raises OSError."""
    stat = file.stat()
    return _sha256(str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=1024)
def _sha256(file: str, *_: int) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weights_digest(*folders: Path) -> str:
    """sha256 over the sha256 of all weight files, in name order: what the model is, wherever it lies."""
    digest = hashlib.sha256()
    for folder in dict.fromkeys(folders):
        for file in sorted(folder.glob("*.safetensors")):
            digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def digest_of_network(network: Any) -> str:
    """sha256 over the names and numbers of all parameters: what a model in memory is."""
    digest = hashlib.sha256()
    for name, parameter in sorted(network.named_parameters()):
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().view(-1).numpy().data)
    return digest.hexdigest()


def digests_of_model(folder: Path) -> dict[str, str]:
    """sha256 of every file of a model folder that a loader may read, by its path in there.

    Of an adapter's config, which says where its base model lies, the digest leaves that out: folders are moved, and
    what the base model is its own digests say.
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
    """What became of the files that had these digests: "NAME is gone" and so on, in name order.

    also_new: whether a file that was not there then, and which a loader would read, counts too.
    """
    there = digests_of_model(folder) if folder.is_dir() else {}
    for name in sorted({*written, *(there if also_new else ())}):
        if name not in there:
            yield f"{name} is gone"
        elif name not in written:
            yield f"{name} is new"
        elif there[name] != written[name]:
            yield f"{name} is another"


def require_run_unchanged(run: Path) -> None:
    """Raise ModelError where the model of a run is no longer what its ledger says was written.

    A run from before digests were recorded is taken as it is.
    """
    if (written := _ledger(run).get("model_files")) is None:
        return
    if changed := next(changed_files(written, run / "model", also_new=True), None):
        raise ModelError(
            f"{run / 'model'}: {changed} since the run wrote it, so it is not the model that was trained; put it back "
            "as it was, or copy the folder elsewhere and use the copy as a model of its own"
        )


def require_base_unchanged(run: Path, base: Path) -> None:
    """Raise ModelError where the base model of a run's adapter is no longer the one it was trained on."""
    written = base_of_run(_ledger(run))
    if written is not None and (changed := next(changed_files(written["files"], base, also_new=False), None)):
        raise ModelError(
            f"{base}: {changed} since {run} was trained on it, so with its adapter it is another model; put it back as "
            "it was"
        )


def run_of(folder: Path) -> Path | None:
    """The run whose model/ this is, also by way of a link to it; None for any other folder."""
    for place in (folder.absolute(), folder.resolve()):
        if place.name == "model" and (place.parent / "run.json").is_file():
            return place.parent
    return None


def base_of_run(ledger: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Path and files of the base model of a run that trained an adapter; None for others and for old runs.

    What the adapter's folder has of its own is not read from the base.
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
        raise ModelError(f"{error}; as a model of its own, name a copy of {run / 'model'} elsewhere") from error

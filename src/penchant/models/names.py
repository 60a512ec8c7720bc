"""Find the folder of a model by its name: a starter, a run, a Hugging Face folder, a GGUF file, or a Hub name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from penchant.errors import ModelError
from penchant.models import starter
from penchant.models.cache import cache_folder, is_whole
from penchant.models.convert import convert_gguf
from penchant.models.digests import file_sha256, require_base_unchanged, require_run_unchanged, run_of
from penchant.models.ledger import read_ledger
from penchant.models.network import base_of_adapter
from penchant.wording import reason_of

__all__ = ["base_of", "clock_of", "is_adapter_folder", "require_named", "resolve"]


def require_named(name: str) -> None:
    """Raise ModelError if the name cannot be a model, without downloading or loading anything."""
    path = Path(name).expanduser()
    if name in starter.STARTERS or path.exists() or _is_hub_name(name):
        return
    if name.startswith("runs/"):  # the examples' folder of runs; no owner on the Hub has this name
        there = sorted(run.name for run in path.parent.iterdir() if run.is_dir()) if path.parent.is_dir() else []
        listed = f"the folder runs holds {', '.join(there[:8])}" if there else "there are no runs here; train one first"
        raise ModelError(f"{name}: there is no such run; {listed}")
    raise ModelError(
        f"{name}: no such folder, file or starter model; pass a Hugging Face folder, a run folder, a .gguf file, "
        f"a Hub name (owner/name) or one of: {', '.join(starter.STARTERS)}"
    )


def _is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~", "runs/"))


def resolve(name: str, say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of the model `name`, downloaded or converted first if needed. Raises ModelError."""
    if name in starter.STARTERS:
        return starter.pull(name, say)
    path = Path(name).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path, say)
    if (path / "run.json").is_file():
        path = path / "model"
        if not path.is_dir():
            raise ModelError(f"{name}: this run has no finished model yet; continue it with `resume=True`")
    if path.is_dir():
        if run := run_of(path):
            require_run_unchanged(run)
        return path
    if path.exists():
        raise ModelError(f"{name}: is a file, but models are folders, .gguf files or names; pass the model's folder")
    require_named(name)
    return _from_hub(name)


def clock_of(path: Path) -> datetime | None:
    """The chat-template clock of the run that made this model; None for any other model."""
    began = read_ledger(run).get("clock") if (run := run_of(path)) else None
    return datetime.fromisoformat(began) if began else None


def is_adapter_folder(path: Path) -> bool:
    """Whether the folder holds a LoRA adapter rather than a whole model."""
    return (path / "adapter_config.json").is_file()


def base_of(path: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder of an adapter's base model, or `path` itself if it is a whole model. Raises ModelError."""
    if not is_adapter_folder(path):
        return path
    base = resolve(base_of_adapter(path), say)
    if run := run_of(path):
        require_base_unchanged(run, base)
    return base


def _converted(gguf: Path, say: Callable[[str], None]) -> Path:
    folder = cache_folder() / "models" / f"{gguf.stem}-{file_sha256(gguf)[:16]}"
    if not is_whole(folder):
        say(f"{gguf}: converting to safetensors, once")
        convert_gguf(gguf, folder)
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as error:  # the Hub client raises many kinds of errors with the same meaning for the user
        raise ModelError(
            f"{name}: there is no such folder, and it could not be fetched from the Hub ({reason_of(error)}); check "
            "the name, or pass a local folder"
        ) from error

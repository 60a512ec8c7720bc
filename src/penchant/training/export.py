"""Export a run, or any model, for other tools: a plain folder, a GGUF file, a repository on the Hub."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ConfigError, OutputError
from penchant.files.place import require_place
from penchant.files.whole import disk_errors_explained, write_atomically
from penchant.models.digests import run_of
from penchant.models.encoder import read_chat_template
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.merging import save_merged
from penchant.models.names import resolve
from penchant.models.numerics import choose_numerics
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.models.reward_model import RewardModel
from penchant.progress import Reporter
from penchant.training.hub import Destination
from penchant.training.origins import origin_of, origin_of_loaded
from penchant.training.provenance import provenance_writer

__all__ = ["DTYPES", "Exported", "export", "export_gguf", "export_model"]

DTYPES = ("float32", "bfloat16", "float16")
CARD = "README.md"


@dataclass(frozen=True)
class Exported:
    """place: a folder, a file, or an address. kind: its content, in words. num_bytes: total size written."""

    place: Path | str
    kind: str
    num_bytes: int = 0


def export(
    model: str | LanguageModel,
    *,
    merged: Path | None = None,
    dtype: str | None = None,
    gguf: Path | None = None,
    gguf_type: str | None = None,
    ollama: bool = False,
    push: str | None = None,
    private: bool | None = None,
    chat_template: str | None = None,
    reporter: Reporter,
) -> list[Exported]:
    """Write the model in one form or several; errors of all forms are raised before the first is begun.

    merged, dtype: see `export_model`. gguf, gguf_type, ollama: see `export_gguf`. push: a repository on the Hub to
    upload the folder to, private unless that is False, see `Destination`. The defaults are float32, f16, private.
    """
    if merged is None and gguf is None:
        raise ConfigError(
            "nothing to write is named; give `merged=...` for a folder, `gguf=...` for a GGUF file, or both"
        )
    for name, given, needed, there in (
        ("gguf_type", gguf_type is not None, "gguf", gguf),
        ("ollama", ollama, "gguf", gguf),
        ("dtype", dtype is not None, "merged", merged),
        ("private", private is not None, "push", push),
    ):
        if given and there is None:
            raise ConfigError(f"`{name}=...` is only read with `{needed}=...`; give both, or leave it out")
    if merged is not None and gguf is not None and merged.resolve() == gguf.resolve():
        raise ConfigError(
            f"{merged}: cannot be both a folder and a GGUF file; give `merged=...` and `gguf=...` different paths"
        )
    if push is not None and merged is None:
        raise ConfigError("`push=...` uploads the folder of `merged=...`, which is not given; give both")
    private = private is not False
    destination = None if push is None else Destination(push, private=private)
    if gguf is not None:
        _require_text(model)
        _require_new_file(gguf, gguf_type or "f16")
    if merged is not None:
        _require_new_folder(merged, dtype or "float32")
    if destination is not None:
        destination.require_ready()
    common: dict[str, Any] = {"chat_template": chat_template, "reporter": reporter}
    done = []
    if merged is not None:
        done.append(export_model(model, merged, dtype=dtype or "float32", **common))
    if gguf is not None:
        done += export_gguf(model, gguf, gguf_type or "f16", ollama=ollama, **common)
    if destination is not None and merged is not None:
        reporter.say(f"sending {merged} to {destination.name}")
        done.append(Exported(destination.send(merged), "private repository" if private else "public repository"))
    return done


def export_model(
    model: str | LanguageModel,
    merged: Path,
    *,
    dtype: str = "float32",
    chat_template: str | None = None,
    reporter: Reporter,
) -> Exported:
    """Write the trained weights, tokenizer and chat template to the folder `merged`, with any adapter merged in.

    model: a run folder, or another name of a model; or one in memory, which is not changed. dtype: one of DTYPES, of
    the written weights.
    chat_template: "plain", or the path of a Jinja template, to write instead of the tokenizer's own. The folder also
    gets the model card of a run, and the model's origin, see `penchant.training.provenance`.

    Raises ConfigError, ModelError, OutputError if `merged` is not empty or cannot be made, and WrittenError if the
    written model computes different values; no file is kept then.
    """
    _require_new_folder(merged, dtype)
    loaded, origin, card = _loaded(model, chat_template, reporter)
    was_adapter = loaded.is_adapter
    sign_origin = provenance_writer(origin, dtype)

    def sign(folder: Path) -> None:
        sign_origin(folder)
        if card is not None:
            shutil.copyfile(card, folder / CARD)

    with disk_errors_explained(merged, again="run the command again", elsewhere="choose another `merged=...`"):
        save_merged(loaded, merged, dtype=getattr(torch, dtype), say=reporter.say, sign=sign)
    kind = f"{'adapter folded into its model' if was_adapter else 'whole model'}, {dtype}"
    return Exported(merged, kind, sum(file.stat().st_size for file in merged.iterdir()))


def export_gguf(
    model: str | LanguageModel,
    gguf: Path,
    gguf_type: str = "f16",
    *,
    ollama: bool = False,
    chat_template: str | None = None,
    reporter: Reporter,
) -> list[Exported]:
    """Write one GGUF file for llama.cpp, including tokenizer and chat template, with any adapter merged in.

    gguf_type: that of the weights, one of `penchant.models.gguf.TYPES`. ollama: write a Modelfile beside it.
    model, chat_template: see `export_model`.

    Raises ConfigError, also for an unsupported family or tokenizer, ModelError, OutputError if `gguf` already exists or
    cannot be made, and WrittenError; no file is kept then.
    """
    from penchant.models.gguf import modelfile, save_gguf

    _require_text(model)
    _require_new_file(gguf, gguf_type)
    beside = gguf.with_name("Modelfile")
    if ollama and beside.exists():
        raise OutputError(f"{beside}: exists; remove it, or choose a `gguf=...` in another folder")
    loaded, _, _ = _loaded(model, chat_template, reporter)
    was_adapter = loaded.is_adapter
    with disk_errors_explained(gguf, again="run the command again", elsewhere="choose another `gguf=...`"):
        save_gguf(loaded, gguf, gguf_type, reporter.say)
        kind = f"{'adapter folded into its model' if was_adapter else 'whole model'}, {gguf_type}"
        done = [Exported(gguf, kind, gguf.stat().st_size)]
        if ollama:
            text, has_template = modelfile(gguf, loaded.encoder)
            write_atomically(beside, text)
            if not has_template:
                reporter.say(
                    f"{beside}: has no TEMPLATE, as the chat template does not write one turn after another; Ollama "
                    "uses its own where it knows the template in the GGUF file"
                )
            done.append(Exported(beside, "Modelfile for ollama create", beside.stat().st_size))
    return done


def _loaded(
    model: str | LanguageModel, chat_template: str | None, reporter: Reporter
) -> tuple[LanguageModel, dict[str, Any], Path | None]:
    """A private copy of the model, its origin, and the card of a run's model."""
    if isinstance(model, LanguageModel):
        return model.copy(), origin_of_loaded(model.name, model), None
    reporter.say(f"loading {model}")
    template = read_chat_template(chat_template)
    path = resolve(model, reporter.say)
    load = load_reward_model if names_reward_model(str(path)) else load_model
    loaded = load(str(path), choose_numerics("cpu", "float32"), chat_template=template, share=False)
    has_card = run_of(path) is not None and (path / CARD).is_file()
    return loaded, origin_of(model, path), path / CARD if has_card else None


def _require_text(model: str | LanguageModel) -> None:
    if isinstance(model, RewardModel) or (isinstance(model, str) and names_reward_model(model)):
        name = model if isinstance(model, str) else model.name
        raise ConfigError(f"{name}: a reward model cannot be written as a GGUF file; give `merged=...` for a folder")


def _require_new_folder(merged: Path, dtype: str) -> None:
    if dtype not in DTYPES:
        raise ConfigError(f"dtype must be one of {', '.join(DTYPES)}, got '{dtype}'")
    if merged.exists() and (not merged.is_dir() or any(merged.iterdir())):
        raise OutputError(f"{merged}: exists and is not an empty folder; choose another `merged=...`")
    require_place(merged, "`merged=...`")


def _require_new_file(gguf: Path, gguf_type: str) -> None:
    from penchant.models.gguf import TYPES

    if gguf_type not in TYPES:
        raise ConfigError(f"gguf_type must be one of {', '.join(TYPES)}, got '{gguf_type}'")
    if gguf.exists():
        raise OutputError(f"{gguf}: exists; choose another `gguf=...`")
    require_place(gguf, "`gguf=...`")

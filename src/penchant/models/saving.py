"""A model folder that other tools load: weights, tokenizer, chat template, generation config; whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from penchant.models.language_model import LanguageModel

__all__ = ["save_merged", "save_model"]

READABLE = 0o644


def save_model(model: LanguageModel, folder: Path) -> None:
    """Write the model, or its adapter, with everything `from_pretrained` needs. Raises OSError."""
    _save(model.network, model, folder)


def save_merged(model: LanguageModel, folder: Path) -> None:
    """Write a plain model with the adapter folded into its weights; a whole model is copied. Raises OSError."""
    network = model.network.merge_and_unload() if model.is_adapter else model.network
    _save(network, model, folder)


def _save(network: object, model: LanguageModel, folder: Path) -> None:
    folder = folder.resolve()
    # An empty folder may be a mount point, or where the user stands: it is filled, not replaced.
    is_empty = folder.is_dir() and not any(folder.iterdir())
    scratch = folder / ".writing" if is_empty else folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(scratch, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        network.save_pretrained(scratch)  # type: ignore[attr-defined]  # transformers or peft
        if model.encoder.template:
            model.tokenizer.chat_template = model.encoder.template
        model.tokenizer.save_pretrained(scratch)
        if model.is_adapter and not (scratch / "generation_config.json").exists():
            model.causal_lm.generation_config.save_pretrained(scratch)
        for file in scratch.iterdir():
            file.chmod(READABLE)  # safetensors writes for its owner alone; a server often runs as somebody else
        if is_empty:
            _fill(folder, scratch)
        else:
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _fill(folder: Path, scratch: Path) -> None:
    """Move the files of a scratch folder up into `folder`, last those without which nothing loads it as a model."""
    for file in sorted(scratch.iterdir(), key=lambda file: file.name.endswith("config.json")):
        os.replace(file, folder / file.name)
    scratch.rmdir()

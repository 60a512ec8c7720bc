"""A run, or any model, as one plain folder that every other tool loads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from penchant.errors import ConfigError, OutputError
from penchant.files.place import require_place
from penchant.files.whole import disk_errors_explained
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model, read_chat_template, resolve
from penchant.models.merging import save_merged
from penchant.models.numerics import choose_numerics
from penchant.models.reward_folder import load_reward_model, names_reward_model
from penchant.progress import Reporter
from penchant.training.origins import origin_of, origin_of_loaded
from penchant.training.provenance import provenance_writer

__all__ = ["DTYPES", "Exported", "export_model"]

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Exported:
    """was_adapter: whether an adapter was folded into its model. num_bytes: of all files written."""

    folder: Path
    was_adapter: bool
    num_bytes: int


def export_model(
    model: str | LanguageModel,
    merged: Path,
    *,
    dtype: str = "float32",
    chat_template: str | None = None,
    reporter: Reporter,
) -> Exported:
    """Write the trained weights, tokenizer and chat template to the folder `merged`, an adapter folded into its model.

    model: a run folder, or whatever else names a model; or one in memory, which stays as it is. dtype: one of DTYPES,
    of the written weights.
    chat_template: "plain", or the path of a Jinja template, to be written instead of the tokenizer's own. Beside them
    stands where the model came from, see `penchant.training.provenance`.

    Raises ConfigError, ModelError, OutputError where `merged` is not empty or cannot be made, and WrittenError where
    what was read back computes anything else than the model; then nothing is left of it.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is one of {', '.join(DTYPES)}, got '{dtype}'; choose one of them")
    if merged.exists() and (not merged.is_dir() or any(merged.iterdir())):
        raise OutputError(f"{merged}: exists and is not an empty folder; choose another `merged=...`")
    require_place(merged, "`merged=...`")
    if isinstance(model, LanguageModel):
        loaded, origin = model.copy(), origin_of_loaded(model.name, model)
    else:
        reporter.say(f"loading {model}")
        template = read_chat_template(chat_template)
        path = resolve(model, reporter.say)
        load = load_reward_model if names_reward_model(str(path)) else load_model
        loaded = load(str(path), choose_numerics("cpu", "float32"), chat_template=template, share=False)
        origin = origin_of(model, path)
    was_adapter = loaded.is_adapter
    with disk_errors_explained(merged, again="run the command again", elsewhere="choose another `merged=...`"):
        sign = provenance_writer(origin, dtype)
        save_merged(loaded, merged, dtype=getattr(torch, dtype), say=reporter.say, sign=sign)
    return Exported(merged, was_adapter, sum(file.stat().st_size for file in merged.iterdir()))

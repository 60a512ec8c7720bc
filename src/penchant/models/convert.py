"""Convert a GGUF file to a Hugging Face folder: dequantised once, stored as safetensors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from penchant.errors import ModelError
from penchant.files import replacing_folder
from penchant.models.building import without_bars
from penchant.models.cache import cache_errors_explained
from penchant.models.saving import require_written
from penchant.wording import reason_of

__all__ = ["convert_gguf", "read_gguf"]


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of `gguf` to `folder`, atomically.

    Raises ModelError, OutputError, and WrittenError if the written model differs from the file.
    """
    from transformers import AutoTokenizer

    with cache_errors_explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:  # another process may be converting it too
            network = read_gguf(gguf)
            with _reading(gguf) as where:
                tokenizer = AutoTokenizer.from_pretrained(**where)
            with replacing_folder(folder, scratch=Path(place) / "model") as target, without_bars():
                network.save_pretrained(target)
                tokenizer.save_pretrained(target)
                require_written(network, target, folder)
                (target / "complete").write_text("written whole\n", encoding="utf-8")


def read_gguf(gguf: Path, beside: Mapping[str, Any] | None = None) -> Any:
    """The network in a GGUF file, dequantised to float32. Raises ModelError.

    beside: config settings that transformers does not read from the file.
    """
    from transformers import AutoModelForCausalLM

    with _reading(gguf) as where:
        network, found = AutoModelForCausalLM.from_pretrained(
            **where, **(beside or {}), output_loading_info=True, dtype=torch.float32, attn_implementation="sdpa"
        )
    if missing := sorted(found["missing_keys"]):  # transformers would fill them at random
        raise ModelError(f"{gguf}: lacks {len(missing)} weights ({missing[0]}, ...); pass another file")
    # The weights are plain tensors now; transformers refuses to save a model that still calls itself quantised.
    del network.config.quantization_config
    network.hf_quantizer = None
    return network


@contextmanager
def _reading(gguf: Path) -> Iterator[dict[str, Any]]:
    """A context with transformers' arguments for the file that turns every error into a ModelError."""
    try:
        with without_bars():
            yield {
                "pretrained_model_name_or_path": str(gguf.parent),
                "gguf_file": gguf.name,
                "trust_remote_code": False,
            }
    except Exception as error:
        raise ModelError(
            f"{gguf}: is not a GGUF file of a known architecture ({reason_of(error)}); pass another file"
        ) from error

"""A GGUF file becomes a Hugging Face folder: dequantised once, kept as safetensors."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from penchant.errors import ModelError
from penchant.files import replacing_folder
from penchant.models.cache import cache_errors_explained
from penchant.models.saving import require_written
from penchant.wording import reason_of

__all__ = ["convert_gguf"]


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of `gguf` to `folder`, whole or not at all.

    Raises ModelError, OutputError, and WrittenError where what was written is not what was read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with cache_errors_explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:  # another process may convert it too
            try:
                where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
                model, found = AutoModelForCausalLM.from_pretrained(
                    **where,
                    output_loading_info=True,
                    dtype=torch.float32,
                    attn_implementation="sdpa",
                    trust_remote_code=False,
                )
                tokenizer = AutoTokenizer.from_pretrained(**where, trust_remote_code=False)
            except Exception as error:  # the reader raises whatever it meets in a foreign file
                raise ModelError(
                    f"{gguf}: not a GGUF file of a known architecture ({reason_of(error)}); pass another file"
                ) from error
            if missing := sorted(found["missing_keys"]):  # transformers would fill them at random
                raise ModelError(f"{gguf}: lacks {len(missing)} weights ({missing[0]}, ...); pass another file")
            # The weights are plain tensors now; transformers refuses to save a model that still calls itself quantised.
            del model.config.quantization_config
            model.hf_quantizer = None
            with replacing_folder(folder, scratch=Path(place) / "model") as target:
                model.save_pretrained(target)
                tokenizer.save_pretrained(target)
                require_written(model, target, folder)
                (target / "complete").write_text("written whole\n", encoding="utf-8")

"""Write a GGUF file: weights rounded to the requested type, with tokenizer and chat template.

Before it gets its name it is read back by transformers and compared with the model in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gguf

from penchant.errors import ConfigError, ModelError, WrittenError
from penchant.files.whole import replacing, sync_file
from penchant.models.convert import read_gguf
from penchant.models.gguf.families import Family, family_of
from penchant.models.gguf.types import FILE_TYPES, PRECISION, rounded, stored
from penchant.models.gguf.vocabulary import describe_tokenizer
from penchant.models.language_model import LanguageModel
from penchant.models.merging import fold_and_round
from penchant.models.written import require_same_network

__all__ = ["save_gguf"]


def save_gguf(model: LanguageModel, file: Path, kind: str, say: Callable[[str], None] = lambda _: None) -> None:
    """Write the model with its adapter merged, weights in one of TYPES; `model` then equals what was written.

    Raises ConfigError for an unsupported family or tokenizer, WrittenError if the type cannot represent the model or
    the file read back differs, and OSError; no file is kept then.
    """
    if model.head is None:
        raise ConfigError("a reward model cannot be written as a GGUF file; export a folder with `merged=...`")
    family = family_of(model.causal_lm.config)
    fold_and_round(model, file, kind, partial(rounded, kind=kind), PRECISION[kind], say)
    with replacing(file) as scratch:
        _write(model, family, scratch, kind)
        _require_written(model.network, family, scratch, file)
        sync_file(scratch)


def _write(model: LanguageModel, family: Family, scratch: Path, kind: str) -> None:
    network = model.network
    writer = gguf.GGUFWriter(scratch, family.architecture)
    try:
        writer.add_name(Path(model.name).name)
        writer.add_file_type(FILE_TYPES[kind])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        family.describe(writer, network.config)
        num_rows = len(network.get_input_embeddings().weight)
        describe_tokenizer(writer, model.tokenizer, num_rows, model.encoder.end_ids)
        if model.encoder.template:
            writer.add_chat_template(model.encoder.template)
        for name, weight in family.tensors(network):
            array, of = stored(weight, kind)
            writer.add_tensor(name, array, raw_dtype=of)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _require_written(network: Any, family: Family, scratch: Path, file: Path) -> None:
    try:
        again = read_gguf(scratch, family.beside(network.config))
        require_same_network(network, again)
    except (ModelError, WrittenError) as error:
        raise WrittenError(
            f"{file}: the model that was written there differs from the one in memory ({error}), so it was not kept; "
            "export a folder with `merged=...`"
        ) from error

"""The types of fields in a model folder's configuration files, as far as they are used in computations.

Networks are built by transformers, which checks few types itself: a window of "5" would fail in the middle of the first
forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from penchant.errors import ModelError
from penchant.strict_json import LACKING, Count, Fields, Number, Text, fault_in

__all__ = ["AdapterTypes", "ConfigTypes", "require_types"]


def _ids(value: object) -> object:
    if any(type(one) is not int for one in (value if isinstance(value, list) else [value])):
        raise ValueError("the number of a token, or a list of them")
    return value


def _parts(value: object) -> object:
    if isinstance(value, int) and value < 1:
        raise ValueError("a number above 0")
    return _sizes(value)


def _sizes(value: object) -> object:
    """A size, or a list of sizes per layer in some families."""
    if any(isinstance(one, str | bool | dict) for one in (value if isinstance(value, list) else [value])):
        raise ValueError("a number, or one for each layer,")
    return value


Ids = Annotated[Any, AfterValidator(_ids)] | None
Parts = Annotated[Any, AfterValidator(_parts)] | None
Sizes = Annotated[Any, AfterValidator(_sizes)] | None


class RopeTypes(Fields):
    """Types of rotary-position settings, for all layers or for one kind."""

    rope_type: Text | None = LACKING
    rope_theta: Sizes = LACKING
    factor: Number | None = LACKING
    original_max_position_embeddings: Number | None = LACKING


class RopesTypes(RopeTypes):
    """Types of rotary-position settings that differ between kinds of layers."""

    full_attention: RopeTypes | None = LACKING
    sliding_attention: RopeTypes | None = LACKING


class ConfigTypes(Fields):
    """Types of config.json and generation_config.json."""

    architectures: list[Text] | None = LACKING
    model_type: Text | None = LACKING
    vocab_size: Parts = LACKING
    hidden_size: Parts = LACKING
    intermediate_size: Sizes = LACKING
    num_hidden_layers: Sizes = LACKING
    num_attention_heads: Parts = LACKING
    num_key_value_heads: Sizes = LACKING
    head_dim: Sizes = LACKING
    max_position_embeddings: Count | None = LACKING
    sliding_window: Count | None = LACKING
    use_sliding_window: bool | None = LACKING
    attention_chunk_size: Count | None = LACKING
    layer_types: list[Text] | None = LACKING
    final_logit_softcapping: Number | None = LACKING
    rope_theta: Sizes = LACKING
    rope_parameters: RopesTypes | None = LACKING
    rope_scaling: RopesTypes | None = LACKING
    tie_word_embeddings: bool | None = LACKING
    bos_token_id: Ids = LACKING
    eos_token_id: Ids = LACKING
    pad_token_id: Ids = LACKING
    text_config: ConfigTypes | None = LACKING


class AdapterTypes(Fields):
    """Types of adapter_config.json."""

    base_model_name_or_path: Text | None = LACKING
    r: Count = LACKING
    rank_pattern: dict[Text, Count] | None = LACKING


def require_types(file: Path, config: Mapping[str, Any], schema: type[Fields] = ConfigTypes) -> None:
    """Raise ModelError for a field of the configuration in `file` whose type violates `schema`."""
    if fault := fault_in(config, schema):
        raise ModelError(f"{file}: {fault}; correct it, or fetch the model again")

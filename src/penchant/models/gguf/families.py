"""The architectures that can be written to GGUF: their metadata, and the layout of their weights.

A family is listed once llama.cpp and transformers both read the file and compute the same as the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gguf
import torch
from torch import Tensor

from penchant.errors import ConfigError

__all__ = ["Family", "family_of"]


@dataclass(frozen=True)
class Family:
    """architecture: llama.cpp's name. turned: whether queries and keys are permuted, see `turned_for_rope`.

    unread: config settings that llama.cpp reads from the file, but transformers does not.
    """

    architecture: str
    turned: bool = False
    unread: tuple[str, ...] = ()

    def beside(self, config: Any) -> dict[str, Any]:
        """Config settings that transformers needs besides the file to read the model back."""
        scaled = () if rope_factors(config) is None else ("rope_parameters",)
        return {name: getattr(config, name) for name in (*self.unread, *scaled)}

    def describe(self, writer: gguf.GGUFWriter, config: Any) -> None:
        """Write the hyperparameters that the weights need."""
        head_dim = _head_dim(config)
        writer.add_context_length(_context_length(config))
        writer.add_block_count(config.num_hidden_layers)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_dimension_count(head_dim)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_vocab_size(config.vocab_size)

    def tensors(self, network: Any) -> Iterator[tuple[str, Tensor]]:
        """Yield every weight under its name and in its layout in the file. Raises ConfigError for an unknown name.

        A head tied to the embedding is left out; readers use the embedding.
        """
        config = network.config
        names = gguf.get_tensor_name_map(_architecture(self.architecture), config.num_hidden_layers)
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads} if self.turned else {}
        tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
        for name, weight in network.state_dict().items():
            if name in tied:
                continue
            if (called := names.get_name(name, try_suffixes=(".weight", ".bias"))) is None:
                raise ConfigError(
                    f"GGUF has no name for the weight {name} of a {config.model_type}; export a folder with "
                    "`merged=...`"
                )
            num_heads = heads.get(name.split(".")[-2])
            yield called, weight if num_heads is None else turned_for_rope(weight, num_heads)
        if (factors := rope_factors(config)) is not None:
            yield "rope_freqs.weight", factors


def family_of(config: Any) -> Family:
    """The family of a config. Raises ConfigError for an unsupported one."""
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ConfigError(
            f"GGUF files can be written for {', '.join(FAMILIES)}, but this model is a {config.model_type}; export a "
            "folder with `merged=...`, and convert it with llama.cpp's convert_hf_to_gguf.py"
        )
    kind = config.rope_parameters.get("rope_type", "default")
    if kind not in ("default", "llama3"):
        raise ConfigError(
            f"GGUF files cannot be written for models whose positions are scaled by '{kind}'; export a folder with "
            "`merged=...`"
        )
    return family


def turned_for_rope(weight: Tensor, num_heads: int) -> Tensor:
    """Permute rows of a head from transformers' layout (first half, second half) to llama.cpp's adjacent pairs.

    Row i of a half of d/2 becomes row 2i or 2i + 1. Queries and keys are both permuted, so products are unchanged.
    """
    rows = weight.shape[0]
    return weight.reshape(num_heads, 2, rows // num_heads // 2, -1).transpose(1, 2).reshape(weight.shape).contiguous()


def rope_factors(config: Any) -> Tensor | None:
    """The divisors of llama.cpp's rotary frequencies, (head_dim / 2,); None if they are not scaled.

    For Llama 3: wavelengths shorter than old / high_freq_factor are unchanged, longer than old / low_freq_factor are
    stretched by `factor`, and in between 1 / result is linear in old / wavelength, from 1 to 1 / factor.
    """
    rope = config.rope_parameters
    if rope.get("rope_type") != "llama3":
        return None
    dim, old = _head_dim(config), rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    wavelengths = 2 * math.pi * rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    smooth = ((old / wavelengths - low) / (high - low)).clamp(0, 1)
    factors: Tensor = 1 / ((1 - smooth) / rope["factor"] + smooth)
    return factors.float()


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _context_length(config: Any) -> int:
    """The context length; windowed attention is not in these files, and is equal up to the window's length."""
    windowed = getattr(config, "use_sliding_window", True) and getattr(config, "sliding_window", None)
    return int(min(config.max_position_embeddings, windowed or config.max_position_embeddings))


def _architecture(name: str) -> Any:
    return next(arch for arch, called in gguf.MODEL_ARCH_NAMES.items() if called == name)


FAMILIES = {
    "llama": Family("llama", turned=True),
    "mistral": Family("llama", turned=True),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3", unread=("head_dim",)),
}
"""Families by transformers' `model_type`."""

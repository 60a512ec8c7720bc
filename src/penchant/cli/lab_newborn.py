"""A newborn model: a small Llama of random weights with a tokenizer of its own, as an ordinary Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

__all__ = ["Anatomy", "bear"]

BEGIN, END, USER, ASSISTANT = "<s>", "</s>", "<|user|>", "<|assistant|>"
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + ('</s>' if message['role'] == 'assistant' else '') }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Anatomy:
    """The size of a Llama whose head is its embedding transposed. Numbers of features, layers and heads."""

    vocab_size: int = 640
    hidden_size: int = 128
    intermediate_size: int = 256
    num_layers: int = 2
    num_heads: int = 4
    context_length: int = 128


def bear(folder: Path, texts: Iterable[str], seed: int, anatomy: Anatomy = Anatomy()) -> int:
    """Train a tokenizer on the texts, draw weights, and write both with a chat template into `folder`.

    Returns the number of parameters. Raises OSError.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(texts, anatomy.vocab_size)
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = dict(_weights(anatomy, tokenizer.get_vocab_size(), seed))
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    ids = {name: tokenizer.token_to_id(name) for name in (BEGIN, END)}
    for name, content in (
        ("config.json", _config(anatomy, tokenizer.get_vocab_size(), ids)),
        ("generation_config.json", {"bos_token_id": ids[BEGIN], "eos_token_id": ids[END]}),
        (
            "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": BEGIN,
                "eos_token": END,
                "clean_up_tokenization_spaces": False,
                "model_max_length": anatomy.context_length,
                "chat_template": TEMPLATE,
            },
        ),
    ):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return sum(tensor.numel() for tensor in weights.values())


def _tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE, so that no text is out of its reach."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, END, USER, ASSISTANT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _config(anatomy: Anatomy, vocab_size: int, ids: dict[str, int]) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab_size,
        "hidden_size": anatomy.hidden_size,
        "intermediate_size": anatomy.intermediate_size,
        "num_hidden_layers": anatomy.num_layers,
        "num_attention_heads": anatomy.num_heads,
        "num_key_value_heads": anatomy.num_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": anatomy.context_length,
        "tie_word_embeddings": True,
        "bos_token_id": ids[BEGIN],
        "eos_token_id": ids[END],
        "initializer_range": anatomy.hidden_size**-0.5,
        "dtype": "float32",
    }


def _weights(anatomy: Anatomy, vocab_size: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """Every weight under the name that transformers knows it by: normal numbers, and ones for the norms."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    wide, inner = anatomy.hidden_size, anatomy.intermediate_size

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) / wide**0.5

    yield "model.embed_tokens.weight", drawn(vocab_size, wide)
    for layer in range(anatomy.num_layers):
        name = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{name}.self_attn.{part}.weight", drawn(wide, wide)
        for part, shape in (("gate_proj", (inner, wide)), ("up_proj", (inner, wide)), ("down_proj", (wide, inner))):
            yield f"{name}.mlp.{part}.weight", drawn(*shape)
        for part in ("input_layernorm", "post_attention_layernorm"):
            yield f"{name}.{part}.weight", torch.ones(wide)
    yield "model.norm.weight", torch.ones(wide)

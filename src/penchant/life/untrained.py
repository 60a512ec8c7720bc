"""Write an untrained model: a small Llama with random weights and its own tokenizer, as a Hugging Face folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from penchant.files import replacing, sync_file, write_atomically

__all__ = ["ModelSize", "write_untrained_model"]

BEGIN, END, USER, ASSISTANT = "<s>", "</s>", "<|user|>", "<|assistant|>"
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + ('</s>' if message['role'] == 'assistant' else '') }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class ModelSize:
    """The size of a Llama with tied embeddings: numbers of features, layers and heads."""

    vocab_size: int = 640
    hidden_size: int = 128
    intermediate_size: int = 256
    num_layers: int = 2
    num_heads: int = 4
    context_length: int = 128


def write_untrained_model(folder: Path, texts: Iterable[str], seed: int, size: ModelSize = ModelSize()) -> int:
    """Train a tokenizer on the texts, draw weights, and write both with a chat template into `folder`.

    Returns the number of parameters. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(texts, size.vocab_size)
    write_atomically(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    weights = dict(_weights(size, tokenizer.get_vocab_size(), seed))
    with replacing(folder / "model.safetensors") as scratch:
        save_file(weights, str(scratch), metadata={"format": "pt"})
        sync_file(scratch)
    ids = {name: tokenizer.token_to_id(name) for name in (BEGIN, END)}
    for name, content in (
        ("config.json", _config(size, tokenizer.get_vocab_size(), ids)),
        ("generation_config.json", {"bos_token_id": ids[BEGIN], "eos_token_id": ids[END]}),
        (
            "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": BEGIN,
                "eos_token": END,
                "clean_up_tokenization_spaces": False,
                "model_max_length": size.context_length,
                "chat_template": TEMPLATE,
            },
        ),
    ):
        write_atomically(folder / name, json.dumps(content, indent=1) + "\n")
    return sum(tensor.numel() for tensor in weights.values())


def _tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer, which can encode any text."""
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


def _config(size: ModelSize, vocab_size: int, ids: Mapping[str, int | None]) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab_size,
        "hidden_size": size.hidden_size,
        "intermediate_size": size.intermediate_size,
        "num_hidden_layers": size.num_layers,
        "num_attention_heads": size.num_heads,
        "num_key_value_heads": size.num_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": size.context_length,
        "tie_word_embeddings": True,
        "bos_token_id": ids[BEGIN],
        "eos_token_id": ids[END],
        "initializer_range": size.hidden_size**-0.5,
        "dtype": "float32",
    }


def _weights(size: ModelSize, vocab_size: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """All weights by transformers' names: normal random numbers, and ones for the norms."""
    generator = torch.Generator().manual_seed(seed)
    wide, inner = size.hidden_size, size.intermediate_size

    def drawn(*shape: int) -> Tensor:
        numbers: Tensor = torch.randn(shape, generator=generator) / wide**0.5
        return numbers

    yield "model.embed_tokens.weight", drawn(vocab_size, wide)
    for layer in range(size.num_layers):
        name = f"model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{name}.self_attn.{part}.weight", drawn(wide, wide)
        for part, shape in (("gate_proj", (inner, wide)), ("up_proj", (inner, wide)), ("down_proj", (wide, inner))):
            yield f"{name}.mlp.{part}.weight", drawn(*shape)
        for part in ("input_layernorm", "post_attention_layernorm"):
            yield f"{name}.{part}.weight", torch.ones(wide)
    yield "model.norm.weight", torch.ones(wide)

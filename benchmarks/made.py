"""A model and preference pairs that are made, seeded, of stated sizes and lengths, so that no network is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2},
    "0.7b": {"vocab_size": 49152, "hidden_size": 1536, "intermediate_size": 4096, "num_hidden_layers": 24,
             "num_attention_heads": 24, "num_key_value_heads": 8},
}  # fmt: skip
"""Llamas with heads of 64 (tiny: 16) and an embedding that is also the head."""
HH_LENGTHS = {"prompt": (173, 0.7), "response": (58, 0.8)}
"""Mean tokens, of helpful-base of Anthropic's HH (docs/performance.md), and an assumed deviation of their logarithm."""
WORDS = ("a", "day", "of", "rain", "and", "sun", "by", "the", "sea", "is", "what", "they", "like", "to", "see", "when")


def write_model(folder: Path, size: str, seed: int = 0) -> Path:
    """A random Llama with a tokenizer of single bytes, as a Hugging Face folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

    alphabet = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens).save_pretrained(folder)
    sizes = SIZES[size]
    config = LlamaConfig(
        **sizes,
        max_position_embeddings=4096,
        initializer_range=sizes["hidden_size"] ** -0.5,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def write_pairs(file: Path, num: int, count: Callable[[str], int], *, shrink: float = 1.0, seed: int = 0) -> None:
    """Rows of prompt, chosen and rejected of HH's lengths divided by `shrink`. count: how many tokens a text has."""
    random = np.random.default_rng(seed)
    words_a_token = 200 / count(_text(random, 200))

    def some(kind: str) -> str:
        mean, spread = HH_LENGTHS[kind]
        tokens = mean / shrink * random.lognormal(-(spread**2) / 2, spread)
        return _text(random, max(4, round(min(tokens, 6 * mean) * words_a_token)))

    rows = ({"prompt": some("prompt"), "chosen": some("response"), "rejected": some("response")} for _ in range(num))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def counter(folder: Path) -> Callable[[str], int]:
    """How many tokens a text has to the tokenizer of a model."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def _text(random: np.random.Generator, num_words: int) -> str:
    return " ".join(random.choice(WORDS, num_words))

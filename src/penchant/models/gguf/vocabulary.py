"""Write a tokenizer to GGUF: its tokens with their kinds, and llama.cpp's matching pre-tokenisation rule.

Two kinds are supported. Byte-level BPE: a text is split by a rule, and the pieces are merged. llama.cpp has these rules
by name (`tokenizer.ggml.pre`); the name is looked up by the tokenizer's own rule, and a rule missing from the table is
refused, as tokens would differ. And SentencePiece's BPE: nothing is split, bytes replace characters without a token,
and a score per token gives the order of merges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gguf
from gguf import TokenType

from penchant.errors import ConfigError

__all__ = ["describe_tokenizer", "encloses"]

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT2 = "GPT-2's own"
CUTS = {
    (GPT2,): {False: "gpt-2"},
    ("digits", GPT2): {False: "smollm"},
    (LLAMA3,): {False: "dbrx", True: "llama-bpe"},
    (QWEN2,): {False: "qwen2"},
    (TEKKEN,): {True: "tekken"},
}
"""llama.cpp's names, by the sequence of splitting rules and by whether a piece that is a token skips merging."""


def describe_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, num_rows: int, end_ids: frozenset[int]) -> None:
    """Write everything that llama.cpp needs to tokenise like the tokenizer. Raises ConfigError.

    num_rows: rows of the embedding, which may exceed the number of tokens. end_ids: tokens that end a turn.
    """
    says = json.loads(tokenizer.backend_tokenizer.to_str())
    model = says["model"]
    if model["type"] != "BPE":
        raise ConfigError(
            f"GGUF files can be written for BPE tokenizers, but this one is {model['type']}; export a folder with "
            "`merged=...`"
        )
    tokens = _tokens(model["vocab"], says["added_tokens"], num_rows)
    types = _types(tokens, says, tokenizer)
    if model.get("byte_fallback"):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(tokens, _merges(model)))
        writer.add_add_space_prefix(_prefixes_space(says))
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_cut_of(says))
        writer.add_token_merges([" ".join(pair) for pair in _merges(model)])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    for token in ("bos", "eos", "unk", "pad"):
        if (number := getattr(tokenizer, f"{token}_token_id")) is not None:
            getattr(writer, f"add_{token}_token_id")(number)
    if others := sorted(end_ids - {tokenizer.eos_token_id}):
        writer.add_eot_token_id(others[0])
    begins, ends = encloses(tokenizer)
    writer.add_add_bos_token(begins)
    writer.add_add_eos_token(ends)


def _tokens(vocabulary: Mapping[str, int], added: Sequence[Mapping[str, Any]], num_rows: int) -> list[str]:
    """One token per row of the embedding; rows without a token get a name that no text contains."""
    by_id = {number: token for token, number in vocabulary.items()}
    by_id |= {one["id"]: one["content"] for one in added}
    return [by_id.get(row, f"[PAD{row}]") for row in range(num_rows)]


def _types(tokens: Sequence[str], says: Mapping[str, Any], tokenizer: Any) -> list[TokenType]:
    added = {one["id"]: one["special"] for one in says["added_tokens"]}
    byte_fallback, known = says["model"].get("byte_fallback"), set(says["model"]["vocab"].values()) | set(added)

    def kind(row: int, token: str) -> TokenType:
        if row not in known:
            return TokenType.UNUSED
        if byte_fallback and row == tokenizer.unk_token_id:
            return TokenType.UNKNOWN
        if byte_fallback and len(token) == len("<0x00>") and token.startswith("<0x") and token.endswith(">"):
            return TokenType.BYTE
        if row in added:
            return TokenType.CONTROL if added[row] else TokenType.USER_DEFINED
        return TokenType.NORMAL

    return [kind(row, token) for row, token in enumerate(tokens)]


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The merges in order; older files store each as one text."""
    pairs = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in model["merges"])
    return [(first, second) for first, second in pairs]


def _cut_of(says: Mapping[str, Any]) -> str:
    """llama.cpp's name for the tokenizer's splitting rule. Raises ConfigError if it has none."""
    if (normalizer := says.get("normalizer")) and normalizer != {"type": "NFC"}:
        raise _unknown(f"normalises by {normalizer}")
    outer = says["pre_tokenizer"] or {"type": "none"}
    parts = outer["pretokenizers"] if outer["type"] == "Sequence" else [outer]
    cuts = tuple(cut for part in parts if (cut := _cut(part)))
    name = CUTS.get(cuts, {}).get(bool(says["model"].get("ignore_merges")))
    if name is None:
        raise _unknown(f"cuts text by {cuts}")
    return name


def _cut(part: Mapping[str, Any]) -> str | None:
    """One pre-tokenizer in the form used in CUTS; None for one that only maps bytes."""
    if part["type"] == "ByteLevel" and not part.get("add_prefix_space"):
        return GPT2 if part.get("use_regex", True) else None
    if part["type"] == "Digits" and part.get("individual_digits"):
        return "digits"
    if part["type"] == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
        return str(part["pattern"].get("Regex"))
    return str(part)


def _unknown(what: str) -> ConfigError:
    return ConfigError(
        f"the tokenizer {what}, for which no name in llama.cpp is known, so that llama.cpp would read other tokens; "
        "export a folder with `merged=...`"
    )


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, str]]) -> list[float]:
    """Scores, higher for tokens merged earlier; tokens that are never merged come last.

    Raises ConfigError if no scores reproduce these merges: those of one token must be consecutive.
    """
    rank: dict[str, int] = {}
    last = ""
    for first, second in merges:
        if (token := first + second) != last and token in rank:
            raise _unknown(f"merges {token!r} at two places")
        rank.setdefault(token, len(rank))
        last = token
    return [-float(rank.get(token, len(rank))) for token in tokens]


def _prefixes_space(says: Mapping[str, Any]) -> bool:
    """Whether a space is prefixed to a text. Raises ConfigError for any other normalisation."""
    outer = says.get("normalizer") or {"type": "Sequence", "normalizers": []}
    parts = outer["normalizers"] if outer["type"] == "Sequence" else [outer]
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    before = {"type": "Prepend", "prepend": "▁"}
    cut = says["pre_tokenizer"]
    if cut is None or (cut["type"] == "Split" and cut["pattern"] == {"String": " "}):
        if parts == [space]:
            return False
        if parts == [before, space]:
            return True
    elif not parts and cut["type"] == "Metaspace" and not cut.get("split") and cut["replacement"] == "▁":
        return bool(cut["prepend_scheme"] != "never")
    raise _unknown(f"normalises by {outer} and cuts by {cut}")


def encloses(tokenizer: Any) -> tuple[bool, bool]:
    """Whether a text gets a beginning-of-sequence token, and an end-of-sequence token."""
    ids = tokenizer("a").input_ids
    return ids[0] == tokenizer.bos_token_id, ids[-1] == tokenizer.eos_token_id

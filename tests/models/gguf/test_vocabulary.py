"""Which name llama.cpp gives to how a tokenizer cuts text is found by the tokenizer itself, and never guessed."""

import gguf
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from penchant.errors import ConfigError
from penchant.models.gguf.vocabulary import LLAMA3, QWEN2, TEKKEN, describe_tokenizer


class Notes:
    """Stands in for a writer: keeps what is added, by what."""

    def __init__(self):
        self.kept = {}

    def __getattr__(self, name):
        return lambda value: self.kept.__setitem__(name.removeprefix("add_"), value)


def described(tokenizer, num_rows=None, end_ids=frozenset()):
    notes = Notes()
    describe_tokenizer(notes, tokenizer, num_rows or len(tokenizer), end_ids)
    return notes.kept


def by_regex(regex, *first):
    return Sequence([*first, Split(Regex(regex), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])


def bytes_cut_by(pre_tokenizer, normalizer=None, *, whole=False):
    vocabulary = {token: i for i, token in enumerate(["<s>", "</s>", *sorted(ByteLevel.alphabet()), "ab"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b")], ignore_merges=whole))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize(
    ("pre_tokenizer", "whole", "name"),
    [
        (ByteLevel(add_prefix_space=False), False, "gpt-2"),
        (Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]), False, "smollm"),
        (by_regex(LLAMA3), True, "llama-bpe"),
        (by_regex(LLAMA3), False, "dbrx"),
        (by_regex(QWEN2), False, "qwen2"),
        (by_regex(TEKKEN), True, "tekken"),
    ],
)
def test_each_known_rule_has_its_name(pre_tokenizer, whole, name):
    kept = described(bytes_cut_by(pre_tokenizer, whole=whole))
    assert (kept["tokenizer_model"], kept["tokenizer_pre"]) == ("gpt2", name)
    assert kept["token_merges"] == ["a b"]


def test_the_rules_are_those_that_transformers_has_for_these_names():
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as THEIRS

    assert {name: THEIRS[name] for name in ("llama-bpe", "dbrx", "qwen2", "tekken")} == {
        "llama-bpe": LLAMA3,
        "dbrx": LLAMA3,
        "qwen2": QWEN2,
        "tekken": TEKKEN,
    }


@pytest.mark.parametrize(
    "tokenizer",
    [
        lambda: bytes_cut_by(by_regex(r"\p{N}{1,2}|\D+")),
        lambda: bytes_cut_by(by_regex(QWEN2), whole=True),
        lambda: bytes_cut_by(ByteLevel(add_prefix_space=True)),
        lambda: bytes_cut_by(pre_tokenizers.Whitespace()),
        lambda: bytes_cut_by(ByteLevel(add_prefix_space=False), normalizers.Lowercase()),
    ],
)
def test_a_rule_without_a_known_name_is_refused_rather_than_read_otherwise(tokenizer):
    with pytest.raises(ConfigError, match=r"the tokenizer .* llama.cpp would read other tokens; export a folder"):
        described(tokenizer())


def test_a_tokenizer_that_does_not_merge_is_refused():
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(ConfigError, match="written for BPE tokenizers, but this one is WordLevel"):
        described(words)


def test_special_tokens_are_control_added_words_are_the_users_and_spare_rows_unused():
    tokenizer = bytes_cut_by(ByteLevel(add_prefix_space=False))
    tokenizer.add_tokens(["<think>"])
    kept = described(tokenizer, num_rows=len(tokenizer) + 2, end_ids=frozenset((1, 5)))
    kinds = dict(zip(kept["token_list"], kept["token_types"], strict=True))
    assert kinds["<s>"] == gguf.TokenType.CONTROL
    assert kinds["<think>"] == gguf.TokenType.USER_DEFINED
    assert kinds["ab"] == gguf.TokenType.NORMAL
    assert kept["token_list"][-2:] == [f"[PAD{len(tokenizer)}]", f"[PAD{len(tokenizer) + 1}]"]
    assert kinds[kept["token_list"][-1]] == gguf.TokenType.UNUSED
    assert (kept["bos_token_id"], kept["eos_token_id"], kept["eot_token_id"]) == (0, 1, 5)
    assert (kept["add_bos_token"], kept["add_eos_token"]) == (False, False)


def test_a_sentencepiece_vocabulary_has_scores_in_the_order_of_its_merges(stories260k):
    tokenizer = AutoTokenizer.from_pretrained(stories260k)
    kept = described(tokenizer)
    assert (kept["tokenizer_model"], kept["add_space_prefix"], kept["add_bos_token"]) == ("llama", True, True)
    scores = dict(zip(kept["token_list"], kept["token_scores"], strict=True))
    assert scores["▁t"] > scores["he"] > scores["▁a"] > scores["a"]
    kinds = dict(zip(kept["token_list"], kept["token_types"], strict=True))
    assert kinds["<0x0A>"] == gguf.TokenType.BYTE
    assert kinds["<unk>"] == gguf.TokenType.UNKNOWN
    assert kinds["<s>"] == gguf.TokenType.CONTROL


def test_merges_that_no_scores_can_say_are_refused():
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<0x00>", *"abc", "ab", "bc", "abc"])}
    merges = [("a", "b"), ("ab", "c"), ("b", "c"), ("a", "bc")]
    backend = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    with pytest.raises(ConfigError, match="merges 'abc' at two places"):
        described(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"))


@pytest.mark.parametrize(
    ("normalizer", "pre_tokenizer", "prefixed"),
    [
        (normalizers.Replace(" ", "▁"), None, False),
        (normalizers.Replace(" ", "▁"), Split(" ", "merged_with_previous"), False),
        (normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, True),
        (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), True),
        (None, pre_tokenizers.Metaspace(prepend_scheme="never", split=False), False),
        (normalizers.Lowercase(), None, "refused"),
        (None, pre_tokenizers.Metaspace(split=True), "refused"),
    ],
)
def test_a_space_before_the_text_is_said_or_the_tokenizer_refused(normalizer, pre_tokenizer, prefixed):
    vocabulary = {token: i for i, token in enumerate(["<unk>", "<0x00>", *"ab", "ab"])}
    backend = Tokenizer(models.BPE(vocabulary, [("a", "b")], byte_fallback=True, unk_token="<unk>"))
    if normalizer:
        backend.normalizer = normalizer
    if pre_tokenizer:
        backend.pre_tokenizer = pre_tokenizer
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    if prefixed == "refused":
        with pytest.raises(ConfigError, match="the tokenizer normalises by"):
            described(tokenizer)
    else:
        assert described(tokenizer)["add_space_prefix"] is prefixed

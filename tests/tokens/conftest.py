"""Two tokenizers that behave differently: one like SentencePiece, one byte-level with a ChatML template."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from penchant.tokens import BoundaryError, ChatEncoder

TEMPLATES = Path(__file__).parent / "templates"

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def byte_tokenizer():
    """Byte-level BPE, ChatML, and a padding token that is the end-of-turn token, as SmolLM2-Instruct has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["user assistant system the answer is what was hello there friend"] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=CHATML,
    )


@pytest.fixture(scope="session")
def story_tokenizer(stories260k):
    """Like SentencePiece: writes a beginning-of-text token and a space before every text; has no chat template."""
    return AutoTokenizer.from_pretrained(str(stories260k))


@pytest.fixture(scope="session")
def encoder_of(byte_tokenizer):
    """The encoder of a template with a tokenizer that has its special tokens."""

    def make(name, **options):
        bos, eos, others = json.loads((TEMPLATES / "special_tokens.json").read_text(encoding="utf-8"))[name]
        tokenizer = type(byte_tokenizer)(
            tokenizer_object=type(byte_tokenizer.backend_tokenizer).from_str(byte_tokenizer.backend_tokenizer.to_str()),
            bos_token=bos,
            eos_token=eos,
        )
        tokenizer.add_special_tokens(
            {"additional_special_tokens": [AddedToken(text, special=True, normalized=False) for text in others]}
        )
        template = "plain"
        if name != "plain":
            template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
        return ChatEncoder(
            tokenizer, template=template, **{"clock": datetime(2026, 3, 7, 15, 4, 5, tzinfo=UTC), **options}
        )

    return make


@pytest.fixture(scope="session")
def sequences_of():
    """The sequences of a conversation, each of its turns encoded by itself; the first BoundaryError is raised."""

    def encoded(encoder, messages):
        texts = [text for turn in encoder.turns(messages) for text in encoder.write_turn(messages, turn)]
        found = encoder.encode(texts)
        for one in found:
            if isinstance(one, BoundaryError):
                raise one
        return encoder.join_turns(messages, found)

    return encoded

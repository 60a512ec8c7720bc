"""Tiny models of real architectures, randomly initialised and saved as folders, with a small tokenizer."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers import models as tokenizer_models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from penchant.models.load import load_model
from penchant.models.numerics import Numerics

VOCABULARY = 288
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # large enough that attention matters to the outcome
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
CPU = Numerics(torch.device("cpu"), torch.float32)
CHAT = (
    "{% for m in messages %}{{ '<s>' + m.role + '\n' + m.content + '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)


def byte_tokenizer():
    tokenizer = Tokenizer(tokenizer_models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the user asks and the assistant answers the user"] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=CHAT
    )


@pytest.fixture(scope="session")
def make_folder(tmp_path_factory):
    """A function from a transformers config to the folder of a random model; the same config gives the same weights."""

    def make(config, seed=0):
        folder = tmp_path_factory.mktemp(config.model_type)
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        byte_tokenizer().save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def llama_folder(make_folder):
    from transformers import LlamaConfig

    return make_folder(LlamaConfig(**SIZES))


@pytest.fixture
def llama(llama_folder):
    """A fresh tiny Llama that shares prefixes."""
    return load_model(str(llama_folder), CPU)


@pytest.fixture(scope="session")
def sizes():
    return SIZES


@pytest.fixture(scope="session")
def cpu():
    return CPU


@pytest.fixture(scope="session")
def family():
    """Six sequences: two prompts under a common beginning, three responses each; a deeper split in one."""
    import numpy as np

    from penchant.tokens import TokenSequence

    random = np.random.default_rng(1)

    def some(num):
        return random.integers(2, VOCABULARY, num).tolist()

    system, one, two, bough = some(11), some(9), some(12), some(10)
    return [
        TokenSequence.of(system + one, some(7)),
        TokenSequence.of(system + one, bough + some(3)),
        TokenSequence.of(system + one, bough + some(6)),
        TokenSequence.of(system + two, some(2)),
        TokenSequence.of(system + two, some(5)),
        TokenSequence.of(some(4), some(6)),
    ]


@pytest.fixture(scope="session")
def visible():
    """The attention rule from its definition, (T, T): a token sees those of its own path up to itself."""
    import numpy as np

    def written_out(forest):
        seen = np.zeros((forest.num_tokens, forest.num_tokens), dtype=bool)
        for index, segment in enumerate(forest.segments):
            own = slice(segment.start, segment.stop)
            seen[own, own] = np.tri(len(segment), dtype=bool)
            for above in (forest.segments[i] for i in forest.lineage(index)[:-1]):
                seen[own, above.start : above.stop] = True
        return seen

    return written_out

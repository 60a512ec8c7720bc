"""Three small runs whose losses are on record: a change of the code that changes training is noticed.

The model is written here number by number, so that no library's way of drawing weights is recorded with it. CPUs round
differently: with the instructions of older ones the losses differed by up to 1.1e-6 of their size, so they are compared
to 1e-5. Where a change is meant to train otherwise, record what the failing test prints, and say in the changelog why.
"""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import penchant as pt
from penchant.models.matmul import choice_file

NUM_WORDS = 48
RECORDED = {
    "dpo": [0.693147182, 0.694183111, 0.647113323, 0.122604708, 0.132618884, 0.124199301, 0.652437687],
    "sft": [4.34932295, 4.30891228, 4.48716116, 3.58978621, 3.67338212, 3.85491991, 4.15313053],
    "reward": [0.693147182, 0.699003617, 0.700785756, 0.684867938, 0.679023902, 0.679788053, 0.6913445],
}
"""The loss of every step, then that of the held-out data at the end."""


@pytest.fixture
def model(tmp_path):
    """Two layers of width 32, every weight drawn from one stream of numbers; the CPU's plain matrix product."""
    choice_file().parent.mkdir(parents=True, exist_ok=True)
    choice_file().write_text('{"precision": "highest"}')
    config = LlamaConfig(
        vocab_size=NUM_WORDS,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        tie_word_embeddings=True,
    )
    network, random = LlamaForCausalLM(config), np.random.default_rng(7)
    with torch.no_grad():
        for name, parameter in sorted(network.named_parameters()):
            drawn = random.standard_normal(parameter.shape) * 0.2 + (1.0 if "norm" in name else 0.0)
            parameter.copy_(torch.from_numpy(drawn))
    words = {"<s>": 0, "</s>": 1} | {f"w{i}": i for i in range(2, NUM_WORDS)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w2"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    network.save_pretrained(tmp_path / "model")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(
        tmp_path / "model"
    )
    return pt.load(tmp_path / "model", device="cpu", dtype="float32", chat_template="plain", progress=False)


def rows():
    random = np.random.default_rng(5)

    def text(num):
        return " ".join(f"w{i}" for i in random.integers(2, NUM_WORDS, num))

    return [{"prompt": text(6), "chosen": " " + text(7), "rejected": " " + text(5)} for _ in range(24)]


CALLS = {
    "dpo": lambda model, **how: pt.dpo(model, rows(), beta=0.3, **how),
    "sft": lambda model, **how: pt.sft(
        model, [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows()], **how
    ),
    "reward": lambda model, **how: pt.reward(model, rows(), **how),
}


@pytest.mark.parametrize("task", RECORDED)
def test_training_computes_what_it_computed_when_it_was_recorded(model, task):
    run = CALLS[task](
        model,
        batch_size=6,
        learning_rate=2e-3,
        epochs=2,
        held_out=0.25,
        seed=3,
        settings={"save.num_samples": 0},
        progress=False,
    )
    losses = [*run.metrics.column("loss"), run.metrics.column("eval_loss")[-1]]
    assert losses == pytest.approx(RECORDED[task], rel=1e-5), losses

"""Mixtures of experts: the balance of the routers is transformers' own, and its gradient is added to any task's."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    MixtralConfig,
    OlmoeConfig,
    PreTrainedTokenizerFast,
    Qwen2MoeConfig,
)

from penchant.data import load_pairs
from penchant.errors import ConfigError
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.routers import Routers
from penchant.objectives import bind
from penchant.tokens import Limits, tokenise_pairs
from penchant.training.balanced import Balanced
from penchant.training.loop import accumulate
from penchant.training.next_token import NextTokenTask
from penchant.training.preferences import PreferenceTask

CPU = Numerics(torch.device("cpu"), torch.float32)
SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
CONFIGS = {
    "mixtral": MixtralConfig(**SIZES, num_local_experts=4),
    "olmoe": OlmoeConfig(**SIZES, num_experts=4),
    "qwen2_moe": Qwen2MoeConfig(
        **SIZES, num_experts=4, moe_intermediate_size=24, shared_expert_intermediate_size=24, decoder_sparse_step=1
    ),
}


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the child went to the park"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@pytest.fixture
def mixture(tmp_path, tokenizer):
    def make(name):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(CONFIGS[name]).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        return load_model(str(tmp_path / name), CPU, chat_template="plain")

    return make


def pairs_of(model, pairs_file, number=4):
    return tokenise_pairs(model.encoder, load_pairs(pairs_file).records[:number], Limits(200, 150)).items


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_balance_is_the_auxiliary_loss_of_transformers_on_the_same_tokens(mixture, pairs_file, name):
    """A sequence alone shares nothing with others, so the tokens are the same."""
    model = mixture(name)
    (sequence, _) = pairs_of(model, pairs_file, 1)[0].sequences
    routers = Routers.of(model)
    with torch.no_grad(), routers.listening():
        score_sequences(model, [sequence])
    ids = torch.from_numpy(sequence.ids)[None].long()
    model.stop_sharing("an oracle")
    with torch.no_grad():
        expected = model.network(input_ids=ids, output_router_logits=True).aux_loss
    assert float(routers.loss()) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.slow(threads=1)
def test_the_weighted_gradient_is_the_sum_of_the_two(mixture, pairs_file):
    model = mixture("mixtral")
    pairs = pairs_of(model, pairs_file)
    reference = {s.key: -3.0 for pair in pairs for s in pair.sequences}
    inner, routers = PreferenceTask(bind("dpo"), 0.1, reference), Routers.of(model)
    parameters = list(model.network.parameters())

    def gradient(task):
        model.network.zero_grad(set_to_none=True)
        means = accumulate(model, task, pairs, parameters, token_budget=10_000, max_grad_norm=1e9).means
        return torch.cat(
            [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
        ), means

    plain, means = gradient(inner)
    one, with_one = gradient(Balanced(inner, routers, 1.0))
    two, with_two = gradient(Balanced(inner, routers, 2.0))
    balance = with_one["router_balance"]
    assert balance > 2.0 - 1e-3, "at least as many as experts a token goes to"
    assert with_one["loss"] == pytest.approx(means["loss"] + balance, rel=1e-5)
    torch.testing.assert_close(two - one, one - plain, rtol=1e-3, atol=1e-5)
    assert float((one - plain).norm()) > 1e-3
    assert with_two["rewards/margins"] == means["rewards/margins"]


@pytest.mark.slow(threads=1)
def test_a_few_steps_on_the_balance_alone_even_out_the_experts(mixture, pairs_file):
    model = mixture("olmoe")
    pairs = pairs_of(model, pairs_file)
    reference = {s.key: 0.0 for pair in pairs for s in pair.sequences}
    task = Balanced(PreferenceTask(lambda batch: 0.0 * batch.delta_B, 0.1, reference), Routers.of(model), 1.0)
    parameters = list(model.network.parameters())
    optimiser, found = torch.optim.Adam(parameters, lr=1e-2), []
    for _ in range(20):
        optimiser.zero_grad()
        found.append(accumulate(model, task, pairs, parameters, token_budget=10_000, max_grad_norm=1e9).means)
        optimiser.step()
    assert found[-1]["router_balance"] < found[0]["router_balance"]


@pytest.mark.slow(threads=1)
def test_an_evaluation_measures_the_balance_and_adds_nothing(mixture, pairs_file):
    model = mixture("mixtral")
    pairs = pairs_of(model, pairs_file)
    inner = PreferenceTask(bind("dpo"), 0.1, {s.key: -3.0 for pair in pairs for s in pair.sequences})
    with torch.no_grad():
        loss, metrics = Balanced(inner, Routers.of(model), 5.0).losses(model, pairs)
        assert float(loss) == float(inner.losses(model, pairs)[0])
    assert "router_balance" in metrics


def test_what_the_task_it_holds_does_it_does_too(mixture):
    inner = NextTokenTask()
    task = Balanced(inner, Routers.of(mixture("mixtral")), 0.1)
    assert task.state() == inner.state() == {}
    assert task.parameters() == inner.parameters()
    assert task.knows_items == inner.knows_items
    assert list(task.updates(None, [1, 2], 1)) == list(inner.updates(None, [1, 2], 1))
    assert task.measured(None, [1]) == inner.measured(None, [1])
    task.restore({})
    task.after_step(None, 1)


def test_a_model_without_experts_is_refused(model):
    with pytest.raises(ConfigError, match=r"optimiser\.router_loss: LlamaForCausalLM has no routers .*; leave it out"):
        Routers.of(model)


@pytest.mark.slow(threads=1)
def test_a_run_without_experts_is_refused_before_it_leaves_a_folder(dpo, tmp_path):
    with pytest.raises(ConfigError, match=r"optimiser\.router_loss"):
        dpo(output=str(tmp_path / "run"), optimiser={"router_loss": 0.01})
    assert not (tmp_path / "run").exists()

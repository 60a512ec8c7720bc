"""Sharing prefixes gives a model's own log-probabilities and gradients, or the model says why it does not share."""

import math
from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from penchant.models.exactness import _longrope_switches_at
from penchant.models.forward import score_forest, score_sequences
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.tokens import Forest, TokenSequence

GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
SHARED = {
    "Llama": {},
    "Mistral": {"sliding_window": None},
    "Qwen2": {},
    "Qwen3": {"head_dim": 8},
    "Phi3": {},
    "GPT2": GPT2,
    "Gemma": {"head_dim": 8},
    "Olmo2": {},
    "GPTNeoX": {},
    "DeepseekV3": {
        **dict.fromkeys(("kv_lora_rank", "q_lora_rank"), 16),
        **dict.fromkeys(("qk_rope_head_dim", "v_head_dim", "moe_intermediate_size"), 8),
        **dict.fromkeys(("n_routed_experts", "num_key_value_heads", "qk_nope_head_dim"), 4),
        **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace"), 1),
        "num_experts_per_tok": 2,
    },
}
UNSHARED = {
    "Mistral": ({"sliding_window": 16}, "sliding window of 16"),
    "Gemma2": ({"head_dim": 8, "sliding_window": 16}, "sliding window of 16"),
    "Gemma3Text": ({"head_dim": 8, "sliding_window": 16}, "sliding window of 16"),
    "GptOss": ({"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 512}, "s_aux"),
    "Granite": ({"logits_scaling": 8.0}, "log-probs with and without sharing differ"),
    "Cohere": ({}, "log-probs with and without sharing differ"),
    "Bloom": ({"n_layer": 2, "n_head": 4}, "takes no other"),
    "Mamba": ({}, "linear_attention"),
    "Falcon": ({}, "takes no other"),
    "GPTJ": ({"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, "takes no other"),
    "GPTNeo": ({"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}, "takes no other"),
    "DiffLlama": ({"head_dim": 8}, "its log-probs while writing from shared keys and values differ"),
    "Llama4Text": (
        {"head_dim": 8, "intermediate_size_mlp": 48, "num_local_experts": 2, "attention_chunk_size": 16},
        "chunked_attention",
    ),
}


def config_of(name, sizes, **own):
    kind = getattr(transformers, f"{name}Config")
    return kind(
        **({**sizes, **own} if name != "GPT2" else {**GPT2, **{k: v for k, v in sizes.items() if k not in KEPT}})
    )


KEPT = {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"} | {
    "max_position_embeddings"
}


def own_scores(folder, sequences, requires_grad=False):
    """Summed log-probs by transformers' plain attention, one sequence at a time, and the model that gave them."""
    network = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    totals = []
    with torch.set_grad_enabled(requires_grad):
        for one in sequences:
            ids = torch.from_numpy(one.ids)
            logprobs = network(ids[None], use_cache=False).logits[0].float().log_softmax(-1)
            (scored,) = torch.nonzero(torch.from_numpy(one.scored), as_tuple=True)
            totals.append(logprobs[scored - 1, ids[scored]].sum())
    return torch.stack(totals), network


def relative(ours, theirs):
    return float((ours - theirs).detach().norm() / theirs.detach().norm())


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", SHARED)
def test_shared_scores_and_their_gradient_are_the_models_own(name, make_folder, sizes, cpu, family):
    folder = make_folder(config_of(name, sizes, **SHARED[name]))
    model = load_model(str(folder), cpu)
    assert model.shares, model.why_unshared
    coefficients = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0, 0.7])
    ours = score_sequences(model, family)
    theirs, network = own_scores(folder, family, requires_grad=True)
    assert relative(ours, theirs) < 1e-4
    (ours * coefficients).sum().backward()
    (theirs * coefficients).sum().backward()
    mine = {n: p.grad for n, p in model.network.named_parameters()}
    other = {n: p.grad for n, p in network.named_parameters()}
    assert mine.keys() == other.keys()
    for parameter, grad in other.items():
        assert mine[parameter] is not None, parameter
        error = float((mine[parameter] - grad).norm() / grad.norm().clamp_min(1e-3))
        assert error < 1e-4, f"{parameter}: {error:.1e}"
    assert Forest.plant(family).num_tokens < 0.7 * sum(map(len, family)), "something was shared"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", UNSHARED)
def test_a_model_that_cannot_share_says_why_and_still_gives_its_own_scores(name, make_folder, sizes, cpu, family):
    own, reason = UNSHARED[name]
    folder = make_folder(config_of(name, sizes, **own))
    said = []
    model = load_model(str(folder), cpu, say=said.append)
    assert not model.shares
    assert reason in model.why_unshared
    assert any(model.why_unshared in text for text in said), "it is said aloud"
    assert relative(score_sequences(model, family), own_scores(folder, family)[0]) < 1e-4


def test_a_sliding_window_that_no_sequence_reaches_is_shared(make_folder, sizes, cpu, family):
    folder = make_folder(config_of("Mistral", sizes, sliding_window=64))
    assert not load_model(str(folder), cpu).shares
    model = load_model(str(folder), cpu, longest=48)
    assert model.shares, model.why_unshared
    assert relative(score_sequences(model, family), own_scores(folder, family)[0]) < 1e-4


LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 10000.0}


@pytest.mark.slow(threads=1)
def test_longrope_is_shared_only_where_no_sequence_switches_the_frequencies_of_the_others(
    make_folder, sizes, cpu, family
):
    folder = make_folder(config_of("Phi3", sizes, original_max_position_embeddings=64, rope_parameters=dict(LONGROPE)))
    alone = load_model(str(folder), cpu, longest=90)
    assert not alone.shares
    assert "LongRoPE" in alone.why_unshared
    assert "over 64 tokens, fewer than the longest sequence of 90" in alone.why_unshared
    with_a_long_one = [*family, TokenSequence.of(list(range(2, 72)), [4, 9, 17])]
    assert relative(score_sequences(alone, with_a_long_one), own_scores(folder, with_a_long_one)[0]) < 1e-4
    model = load_model(str(folder), cpu, longest=64)
    assert model.shares, model.why_unshared
    assert relative(score_sequences(model, family), own_scores(folder, family)[0]) < 1e-4


@pytest.mark.parametrize("rope", [None, {"rope_type": "default"}, {"full_attention": {"rope_type": "default"}}])
def test_other_rotary_positions_have_no_length_at_which_they_switch(rope):
    assert _longrope_switches_at(SimpleNamespace(rope_parameters=rope)) == math.inf


def test_a_longrope_of_some_layers_alone_is_found():
    rope = {"full_attention": {**LONGROPE, "original_max_position_embeddings": 64}, "sliding_attention": None}
    assert _longrope_switches_at(SimpleNamespace(rope_parameters=rope)) == 64


def test_shared_unshared_and_one_by_one_agree(llama, llama_folder, cpu, family):
    shared = score_forest(llama, Forest.plant(family))
    apart = score_forest(llama, Forest.plant(family, share=False))
    torch.testing.assert_close(shared, apart, rtol=1e-4, atol=1e-4)
    alone = load_model(str(llama_folder), cpu, share=False)
    assert alone.why_unshared == "sharing was switched off"
    torch.testing.assert_close(score_forest(alone, Forest.plant(family, share=False)), apart, rtol=1e-4, atol=1e-4)


def test_the_order_and_the_company_of_a_sequence_change_nothing(llama, family):
    together = score_sequences(llama, family)
    torch.testing.assert_close(score_sequences(llama, family[::-1]).flip(0), together, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(score_sequences(llama, family[2:3]), together[2:3], rtol=1e-5, atol=1e-5)


def test_shared_tokens_are_run_once(llama, family):
    before = llama.num_tokens_run
    score_sequences(llama, family)
    assert llama.num_tokens_run - before == Forest.plant(family).num_tokens


def test_a_sequence_with_nothing_scored_scores_zero(llama):
    assert score_sequences(llama, [TokenSequence.of([3, 4], []), TokenSequence.of([3], [4])])[0] == 0.0


def test_bf16_is_close_to_fp32_and_sharing_survives_it(llama, llama_folder, family):
    rounded = load_model(str(llama_folder), Numerics(torch.device("cpu"), torch.bfloat16))
    assert rounded.shares, rounded.why_unshared
    exact, ours = score_sequences(llama, family), score_sequences(rounded, family)
    assert ours.dtype == torch.float32
    assert relative(ours, exact) < 2e-2
    ours.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in rounded.network.parameters())


@pytest.mark.slow(threads=1)
def test_checkpointed_activations_run_every_layer_again_and_change_no_gradient(llama, llama_folder, cpu, family):
    score_sequences(llama, family).sum().backward()
    frugal = load_model(str(llama_folder), cpu)
    frugal.checkpoint_activations()
    runs = []
    frugal.body.layers[0].mlp.register_forward_pre_hook(lambda *_: runs.append(1))
    score_sequences(frugal, family).sum().backward()
    assert len(runs) == 2, "once forward, once again on the way back"
    assert not frugal.body.layers[0].self_attn.training, "dropout stays off"
    for mine, other in zip(frugal.network.parameters(), llama.network.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-6)


def test_a_real_model_scores_real_text_as_transformers_does(stories260k, cpu):
    model = load_model(str(stories260k), cpu, chat_template="plain")
    ids = model.tokenizer.encode("Once upon a time, there was a little girl named Lily. She loved to play.")
    endings = [ids[20:], ids[20:-4], [400, 401], ids[20:-2]]
    sequences = [TokenSequence.of(ids[:20], ending) for ending in endings]
    assert model.shares
    assert relative(score_sequences(model, sequences), own_scores(stories260k, sequences)[0]) < 1e-5

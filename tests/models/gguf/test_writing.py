"""A GGUF file is the model that was exported: for transformers, which is asked here without any help of ours."""

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from penchant.errors import ConfigError, WrittenError
from penchant.models.gguf import save_gguf, types, writing
from penchant.models.gguf.families import rope_factors
from penchant.models.load import load_model

ROWS_OF_A_BLOCK = {"hidden_size": 64, "intermediate_size": 96}
FAMILIES = {
    "llama": lambda sizes: LlamaConfig(**sizes, rope_parameters={"rope_type": "default", "rope_theta": 1234.0}),
    "llama, two weights": lambda sizes: LlamaConfig(**sizes, tie_word_embeddings=False),
    "mistral": lambda sizes: MistralConfig(**sizes, sliding_window=None),
    "qwen2": lambda sizes: Qwen2Config(**sizes, tie_word_embeddings=True),
    "qwen3": lambda sizes: Qwen3Config(**sizes, head_dim=128),
}


@pytest.fixture(scope="module")
def folders(make_folder, sizes):
    """By family: a tiny random model of it."""
    return {name: make_folder(make(sizes | ROWS_OF_A_BLOCK)) for name, make in FAMILIES.items()}


@pytest.fixture(scope="module")
def folder(folders):
    return folders["llama"]


def load(folder, cpu):
    return load_model(str(folder), cpu, share=False)


def logprobs(network, ids=(5, 80, 7, 200, 31, 4, 260, 90)):
    with torch.no_grad():
        return torch.log_softmax(network(input_ids=torch.tensor([ids])).logits[0], dim=-1)


def read(file):
    return AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_read_by_transformers_with_the_same_log_probs(name, folders, cpu, tmp_path):
    before = logprobs(load(folders[name], cpu).network)
    save_gguf(load(folders[name], cpu), tmp_path / "model.gguf", "f32")
    assert torch.allclose(logprobs(read(tmp_path / "model.gguf")), before, atol=1e-4)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("kind", "atol"), [("f16", 0.02), ("q8_0", 0.3)])
def test_rounded_weights_move_log_probs_by_what_rounding_explains_and_are_said(kind, atol, folder, cpu, tmp_path):
    model, said = load(folder, cpu), []
    before = logprobs(model.network)
    save_gguf(model, tmp_path / "model.gguf", kind, said.append)
    after = logprobs(read(tmp_path / "model.gguf"))
    assert torch.allclose(after, before, atol=atol)
    assert not torch.equal(after, before)
    assert torch.allclose(after, logprobs(model.network), atol=1e-4), "afterwards the model is what was written"
    assert f"{kind} moves log-probs by" in said[0]


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("kind", "of_matrices"), [("f32", "F32"), ("f16", "F16"), ("q8_0", "Q8_0")])
def test_matrices_have_the_type_and_vectors_stay_float32(kind, of_matrices, folder, cpu, tmp_path):
    save_gguf(load(folder, cpu), tmp_path / "model.gguf", kind)
    for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors:
        assert tensor.tensor_type.name == (of_matrices if len(tensor.shape) > 1 else "F32"), tensor.name


def test_rows_that_are_no_whole_blocks_are_kept_as_f16():
    weight = torch.randn(4, 40, generator=torch.Generator().manual_seed(0))
    assert types.stored(weight, "q8_0")[1].name == "F16"
    assert torch.equal(types.rounded(weight, "q8_0"), weight.half().float())


def test_q8_0_is_the_nearest_of_127_steps_to_the_largest_of_32_weights():
    weight = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    blocks = weight.double().reshape(-1, 32)
    steps = (blocks.abs().amax(dim=1, keepdim=True) / 127).float()
    by_hand = (blocks / steps.double()).round() * steps.half().double()
    assert torch.allclose(types.rounded(weight, "q8_0").double(), by_hand.reshape(3, 64), rtol=1e-6)
    once = types.rounded(weight, "q8_0")
    assert torch.equal(types.rounded(once, "q8_0"), once), "what is rounded already stays"


def test_the_tokenizer_and_the_chat_template_are_inside(folder, cpu, tmp_path):
    model = load(folder, cpu)
    save_gguf(model, tmp_path / "model.gguf", "f16")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    text = "<s>the user asks\n\n  the assistant 123 ünï</s>"
    assert tokenizer(text).input_ids == model.tokenizer(text).input_ids
    assert tokenizer.chat_template == model.encoder.template
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<s>", "</s>")


def test_an_adapter_is_folded_in(folder, cpu, tmp_path):
    from penchant.models import adapters

    model = load(folder, cpu)
    base = logprobs(model.network)
    adapters.attach(model, 2, 4.0, (), seed=0)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
            parameter.add_(0.1)
    adapted = logprobs(model.network)
    save_gguf(model, tmp_path / "model.gguf", "f32")
    found = logprobs(read(tmp_path / "model.gguf"))
    assert torch.allclose(found, adapted, atol=1e-3)
    assert not torch.allclose(found, base, atol=1e-1)


def test_llama_3s_scaled_positions_are_the_frequencies_that_transformers_computes(sizes):
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "llama3",
        "rope_theta": 500000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(**sizes | {"hidden_size": 512, "max_position_embeddings": 131072}, rope_parameters=rope)
    theirs, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = 500000.0 ** -(torch.arange(0, 128, 2) / 128)
    assert torch.allclose(plain / rope_factors(config), theirs, rtol=1e-5)
    assert len(rope_factors(config).unique()) > 2
    assert rope_factors(LlamaConfig(**sizes)) is None


def test_a_model_with_scaled_positions_is_written_and_read_back(make_folder, sizes, cpu, tmp_path):
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    model = load(make_folder(LlamaConfig(**sizes, rope_parameters=rope)), cpu)
    save_gguf(model, tmp_path / "model.gguf", "f32")
    factors = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "model.gguf").tensors}["rope_freqs.weight"]
    assert np.allclose(factors, rope_factors(model.causal_lm.config))


def test_an_architecture_that_is_not_written_is_refused_before_anything_is(make_folder, sizes, cpu, tmp_path):
    from transformers import GPTNeoXConfig

    model = load(make_folder(GPTNeoXConfig(**sizes)), cpu)
    with pytest.raises(ConfigError, match=r"written for llama, mistral, qwen2, qwen3.*this model is a gpt_neox"):
        save_gguf(model, tmp_path / "model.gguf", "f16")
    assert list(tmp_path.iterdir()) == []


def test_positions_that_are_scaled_in_another_way_are_refused(make_folder, sizes, cpu, tmp_path):
    rope = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
    model = load(make_folder(LlamaConfig(**sizes, rope_parameters=rope)), cpu)
    with pytest.raises(ConfigError, match="scaled by 'linear'"):
        save_gguf(model, tmp_path / "model.gguf", "f16")


def test_a_model_that_f16_cannot_hold_is_refused_and_nothing_is_left(folder, cpu, tmp_path):
    model = load(folder, cpu)
    with torch.no_grad():
        model.network.lm_head.weight[3] = 1e6
    with pytest.raises(WrittenError, match="rounding to f16 changes what this model computes"):
        save_gguf(model, tmp_path / "model.gguf", "f16")
    assert list(tmp_path.iterdir()) == []


def test_what_another_program_would_read_as_another_model_is_not_kept(folder, cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(writing.Family, "describe", without_the_base_of_positions(writing.Family.describe))
    with pytest.raises(
        WrittenError, match=r"model.gguf: the model that was written there differs from the one in memory"
    ):
        save_gguf(load(folder, cpu), tmp_path / "model.gguf", "f32")
    assert list(tmp_path.iterdir()) == []


def without_the_base_of_positions(describe):
    def forgetful(self, writer, config):
        describe(self, writer, config)
        del writer.kv_data[0]["llama.rope.freq_base"]

    return forgetful


def test_a_window_of_attention_limits_the_length_that_the_file_says(make_folder, sizes, cpu, tmp_path):
    model = load(make_folder(MistralConfig(**sizes, sliding_window=48)), cpu)
    save_gguf(model, tmp_path / "model.gguf", "f32")
    assert gguf.GGUFReader(tmp_path / "model.gguf").fields["llama.context_length"].contents() == 48

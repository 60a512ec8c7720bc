"""A base in 4 bits under an adapter, and moments in 8 bits: what is computed, trained, kept, planned and refused."""

import copy
import json
import os
import signal
import sys

import pytest
import torch
from torch import nn

import penchant as pt
from penchant.errors import ConfigError, ModelError
from penchant.models import adapters
from penchant.models.forward import score_sequences
from penchant.models.gated_mlp import remember_less
from penchant.models.language_model import LanguageModel
from penchant.models.load import load_model
from penchant.models.numerics import Numerics
from penchant.models.quantised import (
    NF4_BYTES,
    Nf4Linear,
    bitsandbytes,
    dequantise,
    is_quantised,
    linears,
    quantise,
)
from penchant.training.config import DPOConfig, OptimiserConfig
from penchant.training.interrupt import Interrupted
from penchant.training.optimiser import adamw, require_moments
from penchant.training.run_folder import read_rows_written
from penchant.training.shareable import why_not_sharded

CPU = Numerics(torch.device("cpu"), torch.float32)
IDS = torch.arange(3, 60)[None]
LEVELS = torch.tensor(  # arXiv 2305.14314, appendix E, to four digits
    [
        *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0),
        *(0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
    ]
)
RUN = {
    "model": {"lora": {"rank": 64}, "quantisation": "nf4"},  # of 64 wide layers: factors large enough for 8-bit moments
    "optimiser": {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3, "moments": "8bit"},
}


@pytest.fixture
def bnb():
    return pytest.importorskip("bitsandbytes", reason="needs the extra quantised")


@pytest.fixture
def quantised(bnb, stories260k):
    """The story model with 4-bit weights and an adapter that is not zero."""
    model = load_model(str(stories260k), CPU, chat_template="plain", quantised=True)
    adapters.attach(model, 4, 8.0, (), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def logits(network):
    with torch.no_grad():
        return network(input_ids=IDS, use_cache=False).logits


def in_4_bits_by_transformers(folder):
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=how, dtype=torch.float32, device_map="cpu")
    for layer in model.modules():  # with AVX-512 bfloat16 it would compute in that, and take no layer of this size
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model.eval()


def bytes_of_state(optimiser):
    return sum(
        value.nbytes
        for state in optimiser.state.values()
        for slot, value in state.items()
        if isinstance(value, torch.Tensor) and not slot.startswith("qmap")
    )


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_multiplies_by_what_the_library_dequantises_and_each_weight_is_the_nearest_level(bnb, bias):
    torch.manual_seed(0)
    linear, x = nn.Linear(128, 128, bias=bias), torch.randn(5, 128)
    layer = Nf4Linear(linear, torch.device("cpu"))
    weight = bnb.functional.dequantize_4bit(layer.weight.view(-1, 1), layer.state)
    torch.testing.assert_close(layer(x), nn.functional.linear(x, weight, linear.bias), rtol=1e-6, atol=1e-6)
    assert torch.equal(layer.dense()(x), layer(x))
    blocks = linear.weight.detach().reshape(-1, 64)
    largest = blocks.abs().amax(1, keepdim=True)
    nearest = LEVELS[((blocks / largest)[..., None] - LEVELS).abs().argmin(-1)] * largest
    assert ((weight.reshape(-1, 64) - nearest).abs() / largest).max() < 0.02  # as the scales are 8-bit numbers
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype is torch.bfloat16
        torch.testing.assert_close(layer(x).float(), layer.dense()(x).float(), rtol=1e-2, atol=1e-2)
    held = layer.weight.nbytes + layer.state.absmax.nbytes + layer.state.state2.absmax.nbytes
    assert held == NF4_BYTES * linear.weight.numel()


def test_the_model_is_the_one_that_transformers_and_peft_make_of_the_same_files(quantised, stories260k, tmp_path):
    from peft import PeftModel

    from penchant.models.saving import save_model

    theirs = in_4_bits_by_transformers(stories260k)
    quantised.stop_sharing("a plain forward is compared")
    with quantised.as_reference():
        torch.testing.assert_close(logits(quantised.network), logits(theirs), rtol=1e-4, atol=1e-4)
    dense = load_model(str(stories260k), CPU, chat_template="plain", share=False)
    assert (logits(dense.network) - logits(theirs)).abs().max() > 0.1, "it makes a difference"
    save_model(quantised, tmp_path / "adapter")
    with adapters.quiet_peft():
        both = PeftModel.from_pretrained(theirs, str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(quantised.network), logits(both), rtol=1e-4, atol=1e-4)
    again = load_model(str(tmp_path / "adapter"), CPU, chat_template="plain", share=False)
    assert torch.equal(logits(again.network), logits(quantised.network))


@pytest.mark.slow(threads=1)
def test_gradients_of_the_adapter_are_those_over_the_dequantised_model_shared_or_not(quantised, pairs):
    sequences = [sequence for pair in pairs[:4] for sequence in pair.sequences]
    assert quantised.shares

    def scores_and_gradients(model: LanguageModel):
        model.network.zero_grad()
        scores = score_sequences(model, sequences)
        scores.square().sum().backward()
        return scores.detach(), {n: p.grad.clone() for n, p in model.network.named_parameters() if p.requires_grad}

    dense = copy.copy(quantised)
    dense.network = copy.deepcopy(quantised.network)
    dequantise(dense.network)
    assert is_quantised(quantised.network)
    assert not is_quantised(dense.network)
    expected, gradients = scores_and_gradients(dense)
    assert remember_less(quantised.network) == 5, "its gated layers are known to be exact too"
    for share in (True, False):
        if not share:
            quantised.stop_sharing("to compare")
        scores, found = scores_and_gradients(quantised)
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
        assert found.keys() == gradients.keys()
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, gradients[name], rtol=1e-3, atol=1e-3 * gradients[name].abs().max())


@pytest.mark.slow(threads=1)
def test_a_run_goes_on_to_the_bit_and_its_folder_is_the_quantised_model(bnb, dpo, make_reporter, tmp_path, stories260k):
    straight = dpo(output=str(tmp_path / "straight"), **RUN)
    reporter = make_reporter(at={2: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(Interrupted):
        dpo(reporter, output=str(tmp_path / "stopped"), **RUN)
    resumed = dpo(output=str(tmp_path / "stopped"), resume=True, **RUN)
    trained = [(folder.model / "adapter_model.safetensors").read_bytes() for folder in (straight, resumed)]
    assert trained[0] == trained[1]
    losses = [row["loss"] for row in read_rows_written(straight.metrics) if "loss" in row]
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[-1] < 0.6
    model = load_model(str(straight.path), CPU, chat_template="plain")
    assert is_quantised(model.network)
    record = json.loads((straight.model / "quantisation.json").read_text(encoding="utf-8"))
    assert (record["load_in_4bit"], record["bnb_4bit_quant_type"]) == (True, "nf4")
    pt.Run.open(straight.path).export(tmp_path / "merged")  # which compares the two itself
    merged = load_model(str(tmp_path / "merged"), CPU, chat_template="plain", share=False)
    model.stop_sharing("a plain forward is compared")
    assert not is_quantised(merged.network)
    torch.testing.assert_close(logits(merged.network), logits(model.network), rtol=1e-3, atol=1e-3)
    (straight.model / "quantisation.json").unlink()
    with pytest.raises(ModelError, match=r"quantisation\.json has been removed"):
        load_model(str(straight.path), CPU)


@pytest.mark.slow(threads=1)
def test_the_reference_of_a_quantised_run_is_not_looked_for_where_that_of_the_other_is_kept(bnb, dpo, make_reporter):
    adapter, said = {"lora": {"rank": 4}}, make_reporter()
    dpo(name="other", model=adapter, optimiser={"max_steps": 1})
    dpo(said, name="quantised", model=adapter | {"quantisation": "nf4"}, optimiser={"max_steps": 1})
    assert not any("disagree" in text for text in said.said)


def test_8_bit_moments_step_nearly_as_adamw_does_and_take_a_quarter(bnb, model):
    torch.manual_seed(0)
    start = torch.randn(64, 256)
    sides = {}
    for moments in ("float32", "8bit"):
        parameters = {"large": nn.Parameter(start.clone()), "small": nn.Parameter(start[:2].clone())}
        config = OptimiserConfig(moments=moments, weight_decay=0.01)
        sides[moments] = parameters, adamw(model, parameters, config, 1e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        gradient = torch.randn(start.shape, generator=generator)
        for parameters, optimiser in sides.values():
            for parameter in parameters.values():
                parameter.grad = gradient[: len(parameter)].clone()
            optimiser.step()
    (exact, full), (near, eighth) = sides["float32"], sides["8bit"]
    torch.testing.assert_close(near["small"], exact["small"], rtol=1e-5, atol=1e-6)
    moved = (exact["large"] - start).norm()
    assert 0 < (near["large"] - exact["large"]).norm() < 0.1 * moved
    large = (full.state[exact["large"]], eighth.state[near["large"]])
    assert {state.dtype for slot, state in large[1].items() if slot in ("state1", "state2")} == {torch.uint8}
    assert bytes_of_state(eighth) < 0.3 * bytes_of_state(full)


@pytest.mark.slow(threads=1)
def test_a_plan_counts_what_4_bit_weights_and_8_bit_moments_take(stories260k, pairs_file):
    settings = {"model.quantisation": "nf4", "optimiser.moments": "8bit", "save.num_samples": 0}
    model = {"chat_template": "plain", "lora": {"rank": 4}, "max_rows": 4}
    plan = pt.plan(str(stories260k), str(pairs_file), **model, device="h100", progress=False, settings=settings)
    layers = 5 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 172)  # its head is the embedding
    assert plan.memory["weights"] == pytest.approx(4 * plan.num_parameters - (4 - NF4_BYTES) * layers)
    assert plan.memory["a dequantised layer"] == 4 * 64 * 172
    assert plan.memory["gradients"] == 4 * plan.num_trained
    assert plan.memory["moments"] == pytest.approx((2 + 1 / 32) * plan.num_trained)
    assert plan.memory["reading"] == 0, "the whole weights lie in this machine's memory"


def test_the_head_and_what_is_no_linear_layer_stay(model):
    found = {name for _, name, _ in linears(model.network)}
    assert found == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def refused(settings, **sections):
    with pytest.raises(ValueError, match=r"model\.") as caught:
        DPOConfig.model_validate(settings(**sections))
    return str(caught.value)


def test_what_does_not_go_with_4_bits_is_refused(settings, dpo, stories260k, tmp_path):
    assert "set model.lora too" in refused(settings, model={"quantisation": "nf4"})
    another = {"lora": {}, "quantisation": "nf4", "reference": str(stories260k)}
    assert "model.reference is not read with model.quantisation" in refused(settings, model=another)
    sharded = settings(model={"lora": {}, "quantisation": "nf4"}, parallel={"mode": "sharded"})
    assert "model.quantisation" in why_not_sharded(DPOConfig.model_validate(sharded), 2)
    sharded = settings(optimiser={"moments": "8bit"}, parallel={"mode": "sharded"})
    assert "optimiser.moments" in why_not_sharded(DPOConfig.model_validate(sharded), 2)


def test_moments_in_8_bits_are_refused_where_there_are_none(bnb):
    with pytest.raises(ConfigError, match="8-bit moments are not available on mps"):
        require_moments(OptimiserConfig(moments="8bit"), torch.device("mps"))


def test_a_model_without_linear_layers_is_refused():
    from transformers import GPT2Config, GPT2LMHeadModel

    network = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16))
    with pytest.raises(ConfigError, match=r"a GPT2LMHeadModel has no linear layers .* leave it out"):
        quantise(network, torch.device("cpu"))


@pytest.mark.parametrize("asked", [{"model": {"lora": {}, "quantisation": "nf4"}}, {"optimiser": {"moments": "8bit"}}])
def test_without_the_package_the_run_says_what_to_install_and_leaves_nothing(asked, dpo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ConfigError, match=r"bitsandbytes is not installed; run pip install bitsandbytes"):
        dpo(**asked)
    assert not (tmp_path / "run").exists()


def test_another_quantisation_of_an_adapter_s_base_is_not_taken_for_this_one(model, tmp_path, stories260k):
    from penchant.models.saving import save_model

    adapters.attach(model, 4, 8.0, (), seed=0)
    save_model(model, tmp_path / "adapter")
    (tmp_path / "adapter" / "quantisation.json").write_text('{"load_in_8bit": true}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"says that the base is quantised as .*load_in_8bit"):
        load_model(str(tmp_path / "adapter"), CPU)


def test_what_the_library_would_fetch_as_it_is_imported_it_does_not_find(monkeypatch, tmp_path):
    (tmp_path / "kernels.py").write_text("")
    (tmp_path / "bitsandbytes.py").write_text(
        "try:\n    import kernels\nexcept ImportError:\n    fetches = False\nelse:\n    fetches = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] in ("bitsandbytes", "kernels")]:
        monkeypatch.delitem(sys.modules, name)
    assert bitsandbytes("a test").fetches is False
    monkeypatch.delitem(sys.modules, "bitsandbytes")
    assert __import__("kernels").__file__ == str(tmp_path / "kernels.py"), "afterwards it is as it was"
    assert __import__("bitsandbytes").fetches is True, "the test would see it"
    monkeypatch.delitem(sys.modules, "bitsandbytes")

"""A configuration that announces what its files do not hold is refused before anything is built of it."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from penchant.errors import ModelError
from penchant.models import adapters, network
from penchant.models.blueprint import read_config
from penchant.models.config_types import require_types
from penchant.models.encoder import load_text_side
from penchant.models.load import load_model
from penchant.models.saving import save_model


@pytest.fixture
def folder(llama_folder, tmp_path):
    """A copy of the tiny model, of two layers, 288 tokens and width 32, that a test may damage."""
    return shutil.copytree(llama_folder, tmp_path / "model")


@pytest.fixture
def adapter(llama, tmp_path):
    adapters.attach(llama, 2, 4.0, (), seed=0)
    save_model(llama, tmp_path / "adapter")
    return tmp_path / "adapter"


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder, cpu):
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), cpu)
    return str(caught.value)


@pytest.fixture
def nothing_is_built(monkeypatch):
    from transformers import AutoModelForCausalLM

    def fail(*_, **__):
        raise AssertionError("a network was built")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 10_000_000}, "num_hidden_layers is 10000000, which is not between 1 and 32"),
        ({"num_hidden_layers": 33}, "as the weights beside it have 2 layers;"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
        ({"text_config": {"num_hidden_layers": 10**12}}, "text_config.num_hidden_layers is 1000000000000"),
        ({"vision_config": {"depth_layers": 1, "num_layers": 10**9}}, "vision_config.num_layers is 1000000000"),
        ({"vocab_size": 10**12}, "vocab_size is 1000000000000, which is not between 0 and 288"),
        ({"hidden_size": -32}, "hidden_size is -32"),
        ({"num_attention_heads": 1e9}, "num_attention_heads is 1000000000.0"),
        ({"num_local_experts": 10**7}, "num_local_experts is 10000000"),
        ({"eos_token_id": 10**30}, "eos_token_id is a number of 31 digits"),
        ({"eos_token_id": [1, -(10**40)]}, "eos_token_id[] is a number of 41 digits"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps is not a number (NaN)"),
    ],
    ids=str,
)
def test_a_number_that_the_files_do_not_bear_out_is_refused_before_a_network_is_built(folder, cpu, change, said):
    edit(folder / "config.json", **change)
    text = refused(folder, cpu)
    assert text.startswith(f"{folder}/config.json: ")
    assert said in text


@pytest.mark.usefixtures("nothing_is_built")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sliding_window": "5"}, "'sliding_window' is '5', where a whole number belongs"),
        ({"num_attention_heads": 0}, "'num_attention_heads' is 0, where a number above 0 belongs"),
        ({"sliding_window": [5]}, "'sliding_window' is [5], where a whole number belongs"),
        ({"sliding_window": 1.5}, "'sliding_window' is 1.5, where a whole number belongs"),
        ({"hidden_size": "32"}, "'hidden_size' is '32', where a number, or one for each layer, belongs"),
        ({"text_config": {"max_position_embeddings": True}}, "'text_config.max_position_embeddings' is True"),
        ({"text_config": "llama"}, "'text_config' is 'llama', where an object belongs"),
        ({"layer_types": "full_attention"}, "'layer_types' is 'full_attention', where a list belongs"),
        ({"rope_parameters": {"original_max_position_embeddings": "9"}}, "original_max_position_embeddings' is '9'"),
        ({"eos_token_id": True}, "'eos_token_id' is True, where the number of a token, or a list of them belongs"),
        ({"tie_word_embeddings": "yes"}, "'tie_word_embeddings' is 'yes', where true or false belongs"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused_wherever_the_configuration_is_read(folder, cpu, change, said):
    edit(folder / "config.json", **change)
    reads = (lambda: load_model(str(folder), cpu), lambda: load_text_side(str(folder)), lambda: read_config(folder))
    for read in reads:
        with pytest.raises(ModelError) as caught:
            read()
        assert str(caught.value).startswith(f"{folder}/config.json: ")
        assert said in str(caught.value)
        assert str(caught.value).endswith("; correct it, or fetch the model again")


@pytest.mark.usefixtures("nothing_is_built")
def test_null_is_no_fault_where_a_configuration_need_not_say(folder):
    edit(folder / "config.json", sliding_window=None, text_config=None, rope_scaling=None, eos_token_id=None)
    yarn = {"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 32768.0, "rope_theta": 1e4}
    require_types(folder / "config.json", {"rope_theta": [1e4, 5e5], "rope_parameters": yarn})
    assert load_text_side(str(folder)).encoder.end_ids


@pytest.mark.usefixtures("nothing_is_built")
def test_the_generation_config_is_looked_through_too(folder, cpu):
    edit(folder / "generation_config.json", eos_token_id=10**30)
    assert "generation_config.json: eos_token_id is a number of 31 digits" in refused(folder, cpu)


@pytest.mark.parametrize("strange", [288, -1, "</s>", 1.5, [1, 300]])
def test_an_end_token_that_the_model_does_not_have_is_refused(folder, cpu, strange):
    for name in ("config.json", "generation_config.json"):
        edit(folder / name, eos_token_id=strange)
    assert "eos_token_id" in refused(folder, cpu)


def test_a_few_more_layers_than_the_files_hold_are_missed_when_it_is_built(folder, cpu):
    edit(folder / "config.json", num_hidden_layers=3)
    assert "its files lack 9 weights (model.layers.2." in refused(folder, cpu)


def test_fewer_layers_than_the_files_hold_is_another_model_and_refused(folder, cpu):
    edit(folder / "config.json", num_hidden_layers=1)
    text = refused(folder, cpu)
    assert "hold 9 weights (model.layers.1." in text
    assert "of layers that config.json does not announce" in text


def test_weights_without_a_place_that_are_no_layers_are_said(folder, cpu):
    weights = load_file(folder / "model.safetensors")
    save_file(
        {**weights, "value_head.weight": weights["model.norm.weight"].clone()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    said = []
    load_model(str(folder), cpu, say=said.append)
    assert said == [f"{folder}: 1 weights of its files have no place in the model (value_head.weight, ...)"]


def test_a_configuration_nested_without_end_is_refused(folder, cpu):
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    assert "cannot be read as JSON" in refused(folder, cpu)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"r": 10**9}, "r is 1000000000, which is not between 1 and"),
        ({"r": 0}, "r is 0"),
        ({"rank_pattern": {"q_proj": 10**9}}, "rank_pattern.q_proj is 1000000000"),
        ({"lora_alpha": float("nan")}, "lora_alpha is not a number"),
    ],
    ids=str,
)
def test_an_adapter_that_announces_more_than_it_holds_is_refused_before_it_is_made(
    adapter, cpu, change, said, monkeypatch
):
    monkeypatch.setattr(network, "quiet_peft", None)
    edit(adapter / "adapter_config.json", **change)
    assert said in refused(adapter, cpu)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_an_adapter_that_lacks_a_part_is_refused_rather_than_begun_anew(adapter, cpu):
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    lost = next(name for name in weights if "layers.1" in name and "lora_B" in name)
    del weights[lost]
    save_file(weights, file, {"format": "pt"})
    text = refused(adapter, cpu)
    assert f"1 weights ({lost}, ...) are in only one of the two" in text


def test_an_adapter_over_an_adapter_says_how_to_make_a_whole_model_of_the_inner_one(adapter, cpu, tmp_path):
    outer = shutil.copytree(adapter, tmp_path / "outer")
    edit(outer / "adapter_config.json", base_model_name_or_path=str(adapter))
    text = refused(outer, cpu)
    assert f"{adapter}: is itself an adapter" in text
    assert f"`penchant export {adapter}` with `merged=FOLDER`" in text

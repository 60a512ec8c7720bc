"""What is saved is loaded by everybody's tools and computes the same; adapters on, off and merged."""

import shutil

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils
from transformers.utils import logging

from penchant.data import Message
from penchant.errors import ConfigError, ModelError, OutputError, WrittenError
from penchant.models import adapters
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.merging import save_merged
from penchant.models.saving import save_model

IDS = torch.tensor([[0, 5, 9, 30, 41]])


def logits(network):
    with torch.no_grad():
        return network(IDS, use_cache=False).logits


def stir(model, only="lora_B"):
    """Give an adapter something to say."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.network.named_parameters():
            if only in name:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def test_a_saved_model_loads_by_transformers_alone_and_computes_the_same(llama, tmp_path):
    stir(llama, only="mlp")
    save_model(llama, tmp_path / "model")
    network = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    llama.stop_sharing("compared")
    torch.testing.assert_close(logits(network), logits(llama.network), rtol=1e-5, atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == llama.encoder.prompt_text([Message(role="user", content="hi")])


def test_the_chat_template_a_run_was_given_is_the_one_that_is_saved(llama_folder, cpu, tmp_path):
    template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
    save_model(load_model(str(llama_folder), cpu, chat_template=template), tmp_path / "model")
    assert AutoTokenizer.from_pretrained(tmp_path / "model").chat_template == template


def test_a_saved_model_is_loaded_back_with_the_same_scores_and_shares(llama, cpu, family, tmp_path):
    save_model(llama, tmp_path / "model")
    again = load_model(str(tmp_path / "model"), cpu)
    assert again.shares
    torch.testing.assert_close(score_sequences(again, family), score_sequences(llama, family), rtol=0, atol=0)


def test_saving_replaces_what_was_there_and_leaves_no_scratch(llama, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("x")
    save_model(llama, tmp_path / "model")
    assert not (tmp_path / "model" / "old").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model_and_nothing_half_written(llama, tmp_path, monkeypatch):
    save_model(llama, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(llama.tokenizer), "save_pretrained", full)
    stir(llama, only="mlp")
    with pytest.raises(OSError, match="No space left"):
        save_model(llama, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def adapted(llama):
    adapters.attach(llama, rank=2, alpha=4.0, targets=(), seed=0)
    return llama


def test_a_new_adapter_changes_nothing_and_alone_is_trained(llama, llama_folder, cpu, family):
    before = score_sequences(llama, family)
    adapters.attach(llama, rank=2, alpha=4.0, targets=(), seed=0)
    torch.testing.assert_close(score_sequences(llama, family), before, rtol=0, atol=0)
    trained = {n for n, p in llama.network.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)
    score_sequences(llama, family).sum().backward()
    assert all(p.grad is not None for n, p in llama.network.named_parameters() if n in trained)


def test_the_reference_of_an_adapter_is_the_base_model(adapted, llama_folder, cpu, family):
    base = score_sequences(load_model(str(llama_folder), cpu), family)
    stir(adapted)
    on = score_sequences(adapted, family)
    with adapted.as_reference():
        torch.testing.assert_close(score_sequences(adapted, family), base, rtol=0, atol=0)
    torch.testing.assert_close(score_sequences(adapted, family), on, rtol=0, atol=0)
    assert float((on - base).detach().abs().max()) > 0.1


def test_sharing_is_exact_with_an_adapter_on(adapted, family, tmp_path, cpu):
    stir(adapted)
    shared = score_sequences(adapted, family)
    adapted.stop_sharing("compared")
    torch.testing.assert_close(shared, score_sequences(adapted, family), rtol=1e-4, atol=1e-4)


def test_a_saved_adapter_loads_by_peft_and_by_us(adapted, tmp_path, cpu, family):
    from peft import PeftModel

    stir(adapted)
    save_model(adapted, tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(adapted.path)
    with adapters.quiet_peft():
        theirs = logits(PeftModel.from_pretrained(base, str(tmp_path / "adapter")))
    torch.testing.assert_close(
        score_sequences(load_model(str(tmp_path / "adapter"), cpu), family), score_sequences(adapted, family)
    )
    adapted.stop_sharing("compared")
    torch.testing.assert_close(theirs, logits(adapted.network), rtol=1e-5, atol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path / "adapter").chat_template == adapted.encoder.template


def test_a_merged_model_is_plain_and_computes_what_the_adapter_did(adapted, tmp_path, family):
    stir(adapted)
    adapted.stop_sharing("compared")
    expected = logits(adapted.network)
    save_merged(adapted, tmp_path / "merged")
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(merged), expected, rtol=1e-4, atol=1e-4)


def test_a_model_that_was_merged_still_computes_the_same(adapted, tmp_path, family):
    stir(adapted)
    before = score_sequences(adapted, family)
    save_merged(adapted, tmp_path / "merged")
    torch.testing.assert_close(score_sequences(adapted, family), before, rtol=1e-4, atol=1e-4)


def test_saving_a_model_without_adapter_as_merged_copies_it(llama, tmp_path):
    save_merged(llama, tmp_path / "merged")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").config.vocab_size == 288


def test_an_adapter_on_an_adapter_is_refused(adapted):
    with pytest.raises(ConfigError, match="already is a LoRA adapter"):
        adapters.attach(adapted, 2, 4.0, (), seed=0)


def test_a_target_the_model_does_not_have_is_refused_by_name(llama):
    with pytest.raises(ConfigError, match=r"model.lora.targets: the model has no such modules, got q_prj"):
        adapters.attach(llama, 2, 4.0, ("q_prj",), seed=0)


def test_the_head_as_a_target_is_refused_since_it_would_not_be_read(llama):
    with pytest.raises(ConfigError, match="lm_head"):
        adapters.attach(llama, 2, 4.0, ("q_proj", "lm_head"), seed=0)


def test_the_seed_decides_an_adapters_start_and_nothing_else_moves(llama_folder, cpu):
    starts = []
    for seed in (0, 0, 1):
        model = load_model(str(llama_folder), cpu)
        torch.manual_seed(17)
        expected = torch.rand(1)
        torch.manual_seed(17)
        adapters.attach(model, 2, 4.0, ("q_proj",), seed)
        assert torch.rand(1) == expected, "the global generator is left alone"
        starts.append(next(p.detach() for n, p in model.network.named_parameters() if "lora_A" in n))
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


def write_gguf(folder, target, prefix=""):
    """The tiny Llama as a GGUF file, in the layout llama.cpp gives queries and keys."""
    import gguf
    from safetensors.torch import load_file

    config = AutoModelForCausalLM.from_pretrained(folder).config
    tokenizer = AutoTokenizer.from_pretrained(folder)
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    tokens += [f"<unused{i}>" for i in range(len(tokens), config.vocab_size)]
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in ("<s>", "</s>") else 1 for token in tokens])
    writer.add_token_merges([" ".join(m) for m in merges_of(tokenizer)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in load_file(folder / "model.safetensors").items():
        num = heads.get(name.split(".")[-2])
        turned = tensor if num is None else tensor.view(num, 2, -1, tensor.shape[-1]).transpose(1, 2)
        writer.add_tensor(
            prefix + names.get_name(name, try_suffixes=(".weight",)), turned.reshape(tensor.shape).contiguous().numpy()
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def merges_of(tokenizer):
    import json

    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]


@pytest.mark.slow(threads=1)
def test_a_gguf_file_is_converted_once_and_computes_the_same(llama, llama_folder, cpu, family, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    write_gguf(llama_folder, tmp_path / "tiny.gguf")
    said = []
    model = load_model(str(tmp_path / "tiny.gguf"), cpu, say=said.append)
    torch.testing.assert_close(score_sequences(model, family), score_sequences(llama, family), rtol=1e-4, atol=1e-4)
    assert model.encoder.template == llama.encoder.template
    shutil.copy(tmp_path / "tiny.gguf", tmp_path / "elsewhere.gguf")
    load_model(str(tmp_path / "tiny.gguf"), cpu, say=said.append)
    assert len([text for text in said if "converting" in text]) == 1


def test_a_gguf_file_without_the_weights_is_refused_rather_than_filled_at_random(
    llama_folder, cpu, tmp_path, monkeypatch
):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    write_gguf(llama_folder, tmp_path / "strange.gguf", prefix="other.")
    with pytest.raises(ModelError, match=r"strange.gguf: lacks \d+ weights"):
        load_model(str(tmp_path / "strange.gguf"), cpu)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("shown", [True, False])
def test_no_bar_of_transformers_is_drawn_and_the_callers_choice_of_them_stays(
    llama, llama_folder, cpu, tmp_path, monkeypatch, capsys, shown
):
    """Saving a model and reading it, and a GGUF file, whose reader has bars of its own; also where that fails."""
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(logging, "_tqdm_active", shown)
    drawn = modeling_gguf_pytorch_utils.tqdm
    for name, prefix in (("tiny.gguf", ""), ("strange.gguf", "other.")):
        write_gguf(llama_folder, tmp_path / name, prefix=prefix)
    capsys.readouterr()
    save_model(llama, tmp_path / "model")
    load_model(str(tmp_path / "model"), cpu)
    load_model(str(tmp_path / "tiny.gguf"), cpu)
    assert capsys.readouterr().err == ""
    with pytest.raises(ModelError, match="lacks"):
        load_model(str(tmp_path / "strange.gguf"), cpu)
    assert (logging.is_progress_bar_enabled(), modeling_gguf_pytorch_utils.tqdm) == (shown, drawn)


def test_a_file_that_is_no_gguf_is_refused_and_leaves_nothing(tmp_path, cpu, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bad.gguf").write_bytes(b"GGUFnothing")
    with pytest.raises(ModelError, match=r"bad.gguf: is not a GGUF file"):
        load_model(str(tmp_path / "bad.gguf"), cpu)
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_an_empty_folder_is_filled_since_a_mount_point_cannot_be_replaced(llama, tmp_path, monkeypatch):
    folder = tmp_path / "mounted"
    folder.mkdir()
    before = folder.stat().st_ino
    save_model(llama, folder)
    assert folder.stat().st_ino == before
    AutoModelForCausalLM.from_pretrained(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["mounted"]
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("where", ["folder", "disk"])
def test_a_converted_gguf_that_the_cache_cannot_take_is_the_users_to_mend(
    llama, llama_folder, cpu, tmp_path, monkeypatch, where
):
    def full(*_args, **_options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    write_gguf(llama_folder, tmp_path / "tiny.gguf")
    monkeypatch.setattr(type(llama.network), "save_pretrained", full)
    cache = tmp_path / "tiny.gguf" if where == "folder" else tmp_path / "cache"
    monkeypatch.setenv("PENCHANT_CACHE", str(cache))
    said = "set PENCHANT_CACHE" if where == "folder" else "the disk is full; free some space and run the command again"
    with pytest.raises(OutputError, match=said):
        load_model(str(tmp_path / "tiny.gguf"), cpu)
    assert where == "folder" or list((cache / "models").iterdir()) == []


def damage(tensors):
    name = next(name for name in tensors if "embed" in name or "lora_B" in name)
    tensors[name] = tensors[name].clone()
    tensors[name][-1] += 1  # a row that the probe does not read


@pytest.fixture
def damaged(monkeypatch):
    """safetensors that writes a number other than it was given."""
    import peft.peft_model
    import transformers.modeling_utils

    for module, name in ((transformers.modeling_utils, "safe_save_file"), (peft.peft_model, "safe_save_file")):
        write = getattr(module, name)

        def write_damaged(tensors, *arguments, write=write, **options):
            damage(tensors)
            write(tensors, *arguments, **options)

        monkeypatch.setattr(module, name, write_damaged)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("what", ["whole model", "adapter"])
def test_a_write_that_the_disk_damaged_is_refused_and_what_was_there_stays(what, llama, tmp_path, request):
    if what == "adapter":
        adapters.attach(llama, rank=2, alpha=4.0, targets=(), seed=0)
    save_model(llama, tmp_path / "model")
    before = {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    request.getfixturevalue("damaged")
    with pytest.raises(WrittenError, match="was written there differs from the one in memory"):
        save_model(llama, tmp_path / "model")
    assert {file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("damaged")
def test_nothing_that_looks_like_a_model_is_left_of_a_damaged_write(llama, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty"):
        with pytest.raises(WrittenError):
            save_model(llama, folder)
    assert [p.name for p in tmp_path.rglob("*")] == ["empty"]


def test_a_config_that_makes_another_model_of_the_same_weights_is_refused(llama, tmp_path):
    llama.network.config.rms_norm_eps = 0.1  # read when a model is built, so the one in memory does not change
    with pytest.raises(WrittenError, match="its log-probs differ by"):
        save_model(llama, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("damaged")
def test_a_gguf_file_whose_conversion_was_damaged_is_not_cached(llama_folder, cpu, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
    write_gguf(llama_folder, tmp_path / "tiny.gguf")
    with pytest.raises(WrittenError):
        load_model(str(tmp_path / "tiny.gguf"), cpu)
    assert list((tmp_path / "cache" / "models").iterdir()) == []

"""`penchant export` writes a folder that any tool loads, and the model in it is the one that was trained."""

import os

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def logits(network):
    with torch.no_grad():
        return network(input_ids=torch.tensor([[1, 403, 407, 261, 378]])).logits


@pytest.mark.slow(threads=1)
def test_an_adapter_is_folded_into_a_plain_model_that_computes_the_same(penchant, make_run, tmp_path, stories260k):
    run, target = make_run(lora=True), tmp_path / "merged"
    result = penchant("export", run, "--merged", target)
    assert result.code == 0, result.err
    assert result.out.strip() == str(target)
    assert not (target / "adapter_config.json").exists()
    plain = AutoModelForCausalLM.from_pretrained(target)
    policy = load_model(str(run), choose_numerics("cpu", "float32"), share=False)
    assert torch.allclose(logits(plain), logits(policy.network), atol=1e-4)
    base = AutoModelForCausalLM.from_pretrained(stories260k)
    assert (logits(plain) - logits(base)).abs().max() > 1e-2
    assert AutoTokenizer.from_pretrained(target).chat_template


@pytest.mark.slow(threads=1)
def test_an_adapter_on_a_tied_embedding_is_exported_as_the_model_that_was_trained(penchant, stories260k, tmp_path):
    from penchant.models import adapters
    from penchant.models.saving import save_model

    policy = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain", share=False)
    adapters.attach(policy, 4, 8.0, ("embed_tokens", "q_proj"), seed=0)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, policy.network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)), alpha=0.05)
    save_model(policy, tmp_path / "adapter")
    result = penchant("export", tmp_path / "adapter", "--merged", tmp_path / "merged", "--dtype", "float32")
    assert result.code == 0, result.err
    assert "shared one weight; they are now two weights" in result.err
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert not plain.config.tie_word_embeddings
    assert torch.allclose(logits(plain), logits(policy.network), atol=1e-4)


def test_an_export_that_would_be_another_model_is_refused_in_one_sentence(penchant, make_run, tmp_path, monkeypatch):
    from penchant.models import merging

    monkeypatch.setattr(merging, "merge_adapter", lambda model, _: setattr(model, "network", model.network.unload()))
    result = penchant("export", make_run(lora=True), "--merged", tmp_path / "merged")
    assert result.code == 1
    assert "folding the adapter into its model changes what it computes" in result.err
    assert result.err.count("penchant: ") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow(threads=1)
def test_a_whole_model_is_written_in_the_precision_asked_for(penchant, make_run, tmp_path):
    run, target = make_run(lora=False), tmp_path / "half"
    assert penchant("export", run, "--merged", target, "--dtype", "bfloat16").code == 0
    written = AutoModelForCausalLM.from_pretrained(target)
    assert {p.dtype for p in written.parameters()} == {torch.bfloat16}
    trained = AutoModelForCausalLM.from_pretrained(run / "model")
    for a, b in zip(trained.parameters(), written.parameters(), strict=True):
        assert torch.equal(a.to(torch.bfloat16), b)


def test_a_folder_with_something_in_it_is_refused_and_left_alone(penchant, make_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    result = penchant("export", make_run(lora=False), "--merged", tmp_path)
    assert result.code == 2
    assert "not an empty folder" in result.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(penchant, make_run, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert penchant("export", make_run(lora=False), "--merged", tmp_path / "file").code == 2


@pytest.mark.slow(threads=1)
def test_an_empty_folder_is_written_to(penchant, make_run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert penchant("export", make_run(lora=False), "--merged", tmp_path / "empty").code == 0
    assert (tmp_path / "empty" / "model.safetensors").is_file()


def test_an_unknown_precision_and_an_unknown_model_are_the_users_mistakes(penchant, make_run, tmp_path):
    result = penchant("export", make_run(lora=False), "--merged", tmp_path / "x", "--dtype", "int4")
    assert result.code == 2
    assert "float32, bfloat16, float16" in result.err
    assert penchant("export", tmp_path / "nothing", "--merged", tmp_path / "x").code == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.slow(threads=1)
def test_a_model_without_a_chat_template_is_exported_with_the_one_that_is_given(penchant, stories260k, tmp_path):
    refused = penchant("export", stories260k, "--merged", tmp_path / "x")
    assert refused.code == 2
    assert "--chat-template plain" in refused.err
    result = penchant("export", stories260k, "--merged", tmp_path / "x", "--chat-template", "plain")
    assert result.code == 0, result.err
    assert (tmp_path / "x" / "model.safetensors").is_file()


@pytest.mark.slow(threads=1)
def test_the_empty_folder_that_the_user_stands_in_is_filled_not_replaced(penchant, make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = penchant("export", make_run(lora=False), "--merged", ".")
    assert result.code == 0, result.err
    assert (tmp_path / "model.safetensors").is_file()
    assert not list(tmp_path.glob(".*"))
    assert os.path.samefile(".", tmp_path)

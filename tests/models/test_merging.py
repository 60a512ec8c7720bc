"""An adapter folded into its model computes what it did, also where embedding and head are one weight."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config

from penchant.errors import WrittenError
from penchant.models import merging
from penchant.models.adapters import quiet_peft
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.merging import merge_adapter, save_merged
from penchant.models.saving import save_model

IDS = torch.tensor([[0, 5, 9, 30, 41, 7, 8]])
KINDS = {
    "embedding": ({"target_modules": ["embed_tokens", "q_proj"]}, False),
    "head": ({"target_modules": ["lm_head", "q_proj"]}, False),
    "both": ({"target_modules": ["embed_tokens", "lm_head"]}, False),
    "both as one": ({"target_modules": ["embed_tokens", "lm_head"], "ensure_weight_tying": True}, True),
    "a head of its own": ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
    "an embedding of its own": ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}, False),
    "some tokens": ({"target_modules": ["q_proj"], "trainable_token_indices": [5, 9]}, True),
    "neither": ({"target_modules": ["q_proj"]}, True),
}


def logits(network):
    with torch.no_grad():
        return network(input_ids=IDS, use_cache=False).logits


@pytest.fixture(scope="module")
def tied_folder(make_folder, sizes):
    return make_folder(Qwen2Config(**sizes, tie_word_embeddings=True))


@pytest.fixture
def make_adapter(tied_folder, tmp_path):
    """`make_adapter(target_modules=...)`: the folder of an adapter that peft alone made, on a tied model."""

    def make(**settings):
        with quiet_peft():
            network = get_peft_model(AutoModelForCausalLM.from_pretrained(tied_folder), LoraConfig(r=4, **settings))
            generator = torch.Generator().manual_seed(3)
            with torch.no_grad():
                for parameter in filter(lambda p: p.requires_grad, network.parameters()):
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            network.save_pretrained(tmp_path / "adapter")
        return tmp_path / "adapter"

    return make


def by_peft(tied_folder, adapter):
    with quiet_peft():
        return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tied_folder), str(adapter))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_on_tied_weights_is_the_same_model_when_merged(kind, make_adapter, tied_folder, cpu, tmp_path):
    settings, stays_tied = KINDS[kind]
    adapter, said = make_adapter(**settings), []
    expected = logits(by_peft(tied_folder, adapter))
    assert (expected - logits(AutoModelForCausalLM.from_pretrained(tied_folder))).abs().max() > 0.1
    save_merged(load_model(str(adapter), cpu, share=False), tmp_path / "merged", say=said.append)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(merged), expected, rtol=1e-4, atol=1e-4)
    assert merged.config.tie_word_embeddings is stays_tied
    assert bool(said) is not stays_tied
    assert (merged.lm_head.weight is merged.model.embed_tokens.weight) is stays_tied


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("kind", ["head", "a head of its own"])
def test_a_head_with_an_adapter_is_scored_with_it_whether_it_was_trained_or_not(
    kind, make_adapter, tied_folder, cpu, family
):
    adapter = make_adapter(**KINDS[kind][0])
    model = load_model(str(adapter), cpu)
    assert "its head has an adapter" in model.why_unshared
    network = by_peft(tied_folder, adapter)
    for sequence in family[:2]:
        with torch.no_grad():
            every = torch.log_softmax(network(input_ids=torch.tensor(sequence.ids[None])).logits[0], -1)
        scored = torch.tensor(sequence.scored[1:])
        expected = every[:-1].gather(1, torch.tensor(sequence.ids[1:, None]))[:, 0][scored].sum()
        torch.testing.assert_close(score_sequences(model, [sequence])[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_rounded_and_it_is_said_what_that_does(dtype, make_adapter, cpu, tmp_path):
    model, said = load_model(str(make_adapter(target_modules=["embed_tokens"])), cpu, share=False), []
    merge_adapter(model)
    expected = {name: weight.to(dtype) for name, weight in model.network.state_dict().items()}
    again = load_model(str(tmp_path / "adapter"), cpu, share=False)
    save_merged(again, tmp_path / "merged", dtype=dtype, say=said.append)
    written = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert written.dtype is dtype
    for name, weight in written.state_dict().items():
        assert torch.equal(weight, expected[name])
    assert "moves log-probs by" in said[-1]


def test_a_number_that_a_dtype_does_not_have_is_refused_and_nothing_is_left(llama, tmp_path):
    with torch.no_grad():
        llama.network.model.layers[0].mlp.down_proj.weight.mul_(1e6)
    with pytest.raises(WrittenError, match="rounding to float16 changes what this model computes"):
        save_merged(llama, tmp_path / "half", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_a_fold_that_makes_another_model_is_refused_and_nothing_is_left(make_adapter, cpu, tmp_path, monkeypatch):
    model = load_model(str(make_adapter(target_modules=["embed_tokens"])), cpu, share=False)
    monkeypatch.setattr(merging, "_separate", lambda _: False)  # the shared weight takes what was the embedding's alone
    with pytest.raises(WrittenError, match="folding the adapter into its model changes what it computes"):
        save_merged(model, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_of_ours_on_a_tied_embedding_is_written_and_read_back(tied_folder, cpu, tmp_path, family):
    from penchant.models import adapters

    model = load_model(str(tied_folder), cpu)
    adapters.attach(model, 2, 4.0, ("embed_tokens", "q_proj"), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in filter(lambda p: p.requires_grad, model.network.parameters()):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    before = score_sequences(model, family)
    save_model(model, tmp_path / "adapter")
    assert torch.equal(score_sequences(model, family), before), "saving leaves the model as it was"
    assert all(p.requires_grad == ("lora_" in name) for name, p in model.network.named_parameters())
    torch.testing.assert_close(score_sequences(load_model(str(tmp_path / "adapter"), cpu), family), before)

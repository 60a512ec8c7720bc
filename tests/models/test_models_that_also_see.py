"""A model whose text side is one part of it (Gemma 3 from 4B on) is served as text, or refused in one sentence."""

import pytest
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

from penchant.errors import ModelError
from penchant.models import adapters
from penchant.models.encoder import load_text_side
from penchant.models.forward import score_sequences
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.sampler import SamplingParams


@pytest.fixture(scope="module")
def folder(make_folder, sizes):
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return make_folder(
        Gemma3Config(
            text_config={**sizes, "head_dim": 8, "sliding_window": 64, "layer_types": None},
            vision_config={**small, "image_size": 28, "patch_size": 14},
            mm_tokens_per_image=4,
            initializer_range=0.2,
        )
    )


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("longest", [64, None])
def test_its_text_side_scores_and_answers_as_the_whole_model(folder, cpu, family, longest):
    model = load_model(str(folder), cpu, longest=longest)
    assert model.shares == (longest == 64), model.why_unshared
    assert model.context_length == load_text_side(str(folder)).context_length == 256
    network = Gemma3ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
    for sequence, ours in zip(family, score_sequences(model, family), strict=True):
        ids = torch.from_numpy(sequence.ids)
        logprobs = network(ids[None], use_cache=False).logits[0].log_softmax(-1)
        (scored,) = torch.nonzero(torch.from_numpy(sequence.scored), as_tuple=True)
        torch.testing.assert_close(ours, logprobs[scored - 1, ids[scored]].sum(), rtol=1e-4, atol=1e-4)
    (answers,) = generate(model, [Request((5, 6, 7), "one")], SamplingParams(max_new_tokens=4), num_responses=2)
    assert len(answers) == 2


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("adapted", [False, True])
def test_only_what_text_reaches_is_trained(folder, cpu, family, adapted):
    model = load_model(str(folder), cpu, longest=64)
    if adapted:
        adapters.attach(model, 2, 4.0, (), seed=0)
    model.checkpoint_activations()
    score_sequences(model, family).sum().backward()
    trained = {name for name, p in model.network.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.network.named_parameters() if p.grad is not None}
    assert trained
    assert all("vision" not in name and "multi_modal" not in name for name in trained)


def test_a_model_that_does_not_take_text_alone_is_refused_in_one_sentence(folder, cpu, monkeypatch):
    def forward(*_, **__):
        raise ValueError("pixel_values are missing\nsee the manual")

    monkeypatch.setattr(Gemma3ForConditionalGeneration, "forward", forward)
    with pytest.raises(ModelError, match=r"Generation cannot score plain text here \(ValueError: pix") as e:
        load_model(str(folder), cpu)
    assert "\n" not in str(e.value)
    assert str(e.value).endswith("pass a model that only reads and writes text")

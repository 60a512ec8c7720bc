"""Layers that are run again on the way back change memory and time, never what a model says or learns."""

import pytest
import torch
from transformers import GPTNeoXJapaneseConfig, OPTConfig

from penchant.errors import ConfigError
from penchant.models.forward import score_sequences
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.sampler import SamplingParams
from penchant.models.streaming import stream


def gradients(model, family):
    score_sequences(model, family).sum().backward()
    return {name: p.grad for name, p in model.network.named_parameters()}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("share", [True, False])
def test_layers_with_dropout_of_their_own_score_and_learn_without_it(make_folder, sizes, cpu, family, share):
    drops = {"dropout": 0.5, "attention_dropout": 0.5, "layerdrop": 0.5}
    own = {"ffn_dim": 48, "word_embed_proj_dim": 32, "init_std": 0.2, **drops}
    folder = str(make_folder(OPTConfig(**{**sizes, **own})))
    plain, frugal = (load_model(folder, cpu, share=share) for _ in range(2))
    frugal.checkpoint_activations()
    runs = []
    frugal.body.decoder.layers[0].fc1.register_forward_pre_hook(lambda *_: runs.append(1))
    expected, got = gradients(plain, family), gradients(frugal, family)
    assert len(runs) == 2 * (1 if share else len(family)), "once forward, once again on the way back"
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-5, atol=1e-6, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(score_sequences(frugal, family), score_sequences(plain, family))


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("share", [True, False])
def test_answers_are_the_same_whether_or_not_layers_are_run_again(llama_folder, cpu, share):
    plain, frugal = (load_model(str(llama_folder), cpu, share=share) for _ in range(2))
    frugal.checkpoint_activations()
    requests = [Request((5, 6, 7), "one"), Request((8, 9), "two")]
    params = SamplingParams(max_new_tokens=16)
    expected, got = ([r for rs in generate(model, requests, params) for r in rs] for model in (plain, frugal))
    assert [r.token_ids for r in got] == [r.token_ids for r in expected]
    assert list(stream(frugal, requests[0], params)) == list(stream(plain, requests[0], params))


def test_checkpointing_of_a_model_without_layers_to_run_again_is_refused(make_folder, sizes, cpu):
    model = load_model(str(make_folder(GPTNeoXJapaneseConfig(**sizes))), cpu)
    with pytest.raises(ConfigError, match="gradient_checkpointing: the layers of a GPTNeoXJapaneseForCausalLM"):
        model.checkpoint_activations()

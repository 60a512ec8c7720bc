"""The gradients of head and embedding, added up as they come, are those that autograd gives."""

import numpy as np
import pytest
import torch
from transformers import Gemma2Config, GPT2Config, LlamaConfig

from penchant.models import adapters
from penchant.models.forward import score_sequences
from penchant.models.load import load_model
from penchant.models.logprobs import token_logprobs
from penchant.models.numerics import Numerics
from penchant.tokens import TokenSequence

CPU = Numerics(torch.device("cpu"), torch.float32)
IDS = np.random.default_rng(0).integers(2, 280, (4, 24))
SEQUENCES = [TokenSequence.of(IDS[0, :10].tolist(), ids.tolist()) for ids in IDS]


@pytest.fixture(params=["tied", "untied", "gemma2", "gpt2"])
def model(request, make_folder, sizes):
    tied = {**sizes, "tie_word_embeddings": request.param != "untied"}
    config = {"gemma2": Gemma2Config(**tied, head_dim=8), "gpt2": GPT2Config(**tied)}.get(request.param)
    return load_model(str(make_folder(config or LlamaConfig(**tied))), CPU)


def gradients(model):
    return {name: p.grad.clone() for name, p in model.network.named_parameters()}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("shared", [True, False])
def test_they_are_the_gradients_of_autograd_and_add_up_over_micro_batches(model, shared):
    if not shared:
        model.stop_sharing("compared")
    score_sequences(model, SEQUENCES).sum().backward()
    expected = gradients(model)
    kept = {}
    for name, parameter in model.network.named_parameters():
        kept[name] = parameter.grad = torch.zeros_like(parameter)
    model.add_up_vocabulary_gradients(at_once=True)
    for half in (SEQUENCES[:2], SEQUENCES[2:]):
        score_sequences(model, half).sum().backward()
    for name, parameter in model.network.named_parameters():
        assert parameter.grad is kept[name], f"{name}: another tensor than the one that was there"
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-4)


def test_they_are_autograds_again_when_it_ends(model):
    score_sequences(model, SEQUENCES).sum().backward()
    expected = gradients(model)
    model.add_up_vocabulary_gradients(at_once=True)
    model.add_up_vocabulary_gradients(at_once=False)
    model.network.zero_grad(set_to_none=True)
    score_sequences(model, SEQUENCES).sum().backward()
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, expected[name]), name


def test_a_frozen_vocabulary_gets_none(llama):
    adapters.attach(llama, 4, 8.0, (), seed=0)
    llama.add_up_vocabulary_gradients(at_once=True)
    score_sequences(llama, SEQUENCES).sum().backward()
    assert llama.head_gradient is None
    assert llama.head.weight.grad is None


def test_a_head_that_is_not_trained_adds_nothing_to_a_sum_that_was_begun():
    hidden_KH, weight_VH = torch.randn(3, 4, requires_grad=True), torch.randn(7, 4)
    begun_VH, targets_K = torch.zeros(7, 4), torch.tensor([0, 3, 6])
    logprobs_K = token_logprobs(hidden_KH, weight_VH, targets_K, weight_sum_VH=begun_VH)
    (gradient_KH,) = torch.autograd.grad(logprobs_K.sum(), hidden_KH)
    (expected_KH,) = torch.autograd.grad(
        (hidden_KH @ weight_VH.t()).log_softmax(-1)[torch.arange(3), targets_K].sum(), hidden_KH
    )
    torch.testing.assert_close(gradient_KH, expected_KH)
    assert not begun_VH.any()

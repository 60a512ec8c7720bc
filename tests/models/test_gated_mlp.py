"""Gated layers that remember less give the same numbers and keep less."""

import weakref

import pytest
import torch
from torch import nn
from transformers import Gemma2Config, LlamaConfig, Phi3Config, Qwen3Config

from penchant.models import adapters
from penchant.models.gated_mlp import remember_less
from penchant.models.load import load_model
from penchant.models.numerics import Numerics

CPU = Numerics(torch.device("cpu"), torch.float32)
IDS = torch.arange(3, 40)[None]


def loss_and_gradients(network):
    network.zero_grad()
    loss = network(input_ids=IDS, use_cache=False).logits.square().mean()
    loss.backward()
    return loss, {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("config", [LlamaConfig, Qwen3Config, Gemma2Config])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_loss_and_every_gradient_are_the_same_to_the_last_bit(make_folder, sizes, config, lora):
    model = load_model(str(make_folder(config(**sizes))), CPU)
    model.stop_sharing("a plain forward is compared")
    if lora:
        adapters.attach(model, 4, 8.0, (), seed=0)
    loss, gradients = loss_and_gradients(model.network)
    assert remember_less(model.network) == 2
    again, same = loss_and_gradients(model.network)
    assert torch.equal(loss, again)
    assert gradients.keys() == same.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, same[name]), name


def test_the_product_and_the_activation_are_not_kept_for_the_way_back(llama):
    llama.stop_sharing("a plain forward is measured")
    inner = []
    mlp = llama.body.layers[0].mlp
    mlp.act_fn.register_forward_hook(lambda _module, _inputs, out: inner.append(weakref.ref(out)))
    mlp.down_proj.register_forward_hook(lambda _module, inputs, _out: inner.append(weakref.ref(inputs[0])))

    def alive():
        inner.clear()
        loss = llama.network(input_ids=IDS, use_cache=False).logits.sum()
        return [ref() is not None for ref in inner], loss.requires_grad

    assert alive() == ([True, True], True)
    remember_less(llama.network)
    assert alive() == ([False, False], True)


def test_a_layer_that_computes_something_else_with_these_parts_keeps_its_own_code(llama):
    class Clamped(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate_proj, self.up_proj = nn.Linear(4, 6), nn.Linear(4, 6)
            self.down_proj, self.act_fn = nn.Linear(6, 4), nn.SiLU()

        def forward(self, x):
            return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x)).clamp(-0.01, 0.01)

    layer = Clamped()
    assert remember_less(layer) == 0
    assert layer(torch.ones(1, 2, 4)).abs().max() <= 0.01


def test_a_model_with_other_parts_is_left_as_it_is(make_folder, sizes):
    model = load_model(str(make_folder(Phi3Config(**sizes))), CPU)
    assert remember_less(model.network) == 0

"""What a device cannot do is not asked of it: Apple's has neither float64 nor PyTorch's multi-tensor kernels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn.utils import clip_grad
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from penchant.data import Origin
from penchant.evaluation import pair_scores
from penchant.models import devices
from penchant.models.sampler import SamplingParams, sample
from penchant.tokens import EncodedExample, TokenSequence
from penchant.training.loop import accumulate
from penchant.training.next_token import NextTokenTask


def test_a_machine_that_was_busy_when_it_was_measured_is_not_thought_slow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))
    for found, best in (
        ((1.0, 2.0, 0.3), (1.0, 2.0, 0.3)),
        ((5.0, 1.0, 0.1), (5.0, 2.0, 0.1)),
        ((2.0, 2.0, 0.2), (5.0, 2.0, 0.1)),
    ):
        monkeypatch.setattr(
            devices, "_measured", lambda found=found: dict(zip(("products", "moves", "call"), found, strict=True))
        )
        here = devices.this_machine()
        assert (here.products, here.moves, here.call) == best


class WithoutFloat64(TorchDispatchMode):
    """Refuses float64 on "mps"; PyTorch's fake tensors know their device but hold no numbers."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "mps":
                assert tensor.dtype != torch.float64, f"{function} makes float64 on mps"
        return out


def test_sampling_makes_no_float64_where_the_device_has_none():
    for settings in ({}, {"temperature": 0.5}, {"temperature": 0.0}):
        with FakeTensorMode(allow_non_fake_inputs=True), WithoutFloat64():
            logits = torch.empty(3, 700, device="mps")
            tokens, logprobs = sample(logits, torch.from_numpy(np.zeros(3)), SamplingParams(**settings))
            assert tokens.shape == logprobs.shape == (3,)


def test_summed_log_probs_leave_the_device_before_they_are_widened(monkeypatch):
    with FakeTensorMode(allow_non_fake_inputs=True), WithoutFloat64():
        monkeypatch.setattr(pair_scores, "score_sequences", lambda _model, items: torch.empty(len(items), device="mps"))
        ones = [[TokenSequence.of([3], [4])], [TokenSequence.of([3], [5, 6])]]
        with pytest.raises(DataDependentOutputException):  # where numbers are asked for, which fake tensors do not hold
            pair_scores.sequence_logprobs(SimpleNamespace(shares=True), ones)


def test_gradients_are_clipped_where_there_are_no_multi_tensor_kernels(llama, family, monkeypatch):
    monkeypatch.setattr(clip_grad, "_device_has_foreach_support", lambda _device: False)
    monkeypatch.setattr(clip_grad, "_has_foreach_support", lambda _tensors, _device: False)
    texts = [EncodedExample((sequence,), Origin(file="texts.jsonl", line=1)) for sequence in family]
    parameters = list(llama.network.parameters())
    result = accumulate(llama, NextTokenTask(), texts, parameters, token_budget=500, max_grad_norm=1e-3)
    assert result.grad_norm > 1e-3
    assert float(torch.cat([p.grad.flatten() for p in parameters]).norm()) <= 1e-3 * (1 + 1e-5)


def test_free_is_what_the_control_group_has_left_and_nothing_where_no_one_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(devices, "memory_of_machine", lambda: 1e15)
    monkeypatch.setattr(devices, "_limited_groups", lambda: [(tmp_path, 1000.0)])
    monkeypatch.setattr(devices, "_kilobytes", lambda file, name: 1e12)
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
    assert devices.free_memory() == (1000 - 700 + 200) / 2
    (tmp_path / "memory.current").write_text("5000\n")
    assert devices.free_memory() == 0.0
    monkeypatch.setattr(devices, "_limited_groups", list)
    assert devices.free_memory() == 1e12 / 2
    monkeypatch.setattr(devices, "_kilobytes", lambda file, name: 0.0)
    assert devices.free_memory() == 0.0

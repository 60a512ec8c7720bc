"""Chunked log-probabilities equal log_softmax and gather, in value and gradient, on every path."""

import pytest
import torch

from penchant.models import logprobs
from penchant.models.logprobs import Head, token_kl, token_logprobs, token_measures

K, V, H = 23, 17, 5


def inputs(dtype=torch.float64, frozen=()):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "hidden": torch.randn(K, H, generator=generator, dtype=dtype),
        "weight": torch.randn(V, H, generator=generator, dtype=dtype),
        "bias": torch.randn(V, generator=generator, dtype=dtype),
    }
    for name, tensor in tensors.items():
        tensor.requires_grad_(name not in frozen)
    return tensors, torch.randint(0, V, (K,), generator=generator)


def oracle(hidden, weight, targets, bias=None, softcap=None):
    logits = hidden @ weight.T if bias is None else hidden @ weight.T + bias
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]


@pytest.fixture(params=[4 * V, 4 * V * 7, 2**20], ids=["one row a chunk", "uneven chunks", "one chunk"])
def _chunks(request, monkeypatch):
    monkeypatch.setattr(logprobs, "CHUNK_BYTES", request.param)


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("with_bias", [False, True])
def test_values_and_gradients_are_those_of_log_softmax(dtype, softcap, with_bias):
    tensors, targets = inputs(dtype)
    hidden, weight = tensors["hidden"], tensors["weight"]
    bias = tensors["bias"] if with_bias else None
    ours = token_logprobs(hidden, weight, targets, bias, softcap=softcap)
    theirs = oracle(hidden, weight, targets, bias, softcap)
    torch.testing.assert_close(ours, theirs)
    assert ours.dtype == dtype
    scale = torch.linspace(-1, 2, K, dtype=dtype)
    learned = [t for t in (hidden, weight, bias) if t is not None]
    for mine, other in zip(
        torch.autograd.grad((ours * scale).sum(), learned),
        torch.autograd.grad((theirs * scale).sum(), learned),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.slow(threads=1)
@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("softcap", [None, 3.0])
def test_gradients_agree_with_finite_differences(softcap):
    tensors, targets = inputs()

    def score(hidden, weight, bias):
        return token_logprobs(hidden, weight, targets, bias, softcap=softcap)

    assert torch.autograd.gradcheck(score, tuple(tensors.values()))


@pytest.mark.parametrize("frozen", [("weight", "bias"), ("hidden",), ("weight",)])
def test_what_is_frozen_gets_no_gradient_and_the_rest_the_same(frozen):
    tensors, targets = inputs(frozen=frozen)
    token_logprobs(tensors["hidden"], tensors["weight"], targets, tensors["bias"]).sum().backward()
    free, _ = inputs()
    oracle(free["hidden"], free["weight"], targets, free["bias"]).sum().backward()
    for name, tensor in tensors.items():
        if name in frozen:
            assert tensor.grad is None
        else:
            torch.testing.assert_close(tensor.grad, free[name].grad)


def test_a_tied_head_gets_the_sum_of_both_its_gradients():
    tensors, targets = inputs()
    weight = tensors["weight"]
    token_logprobs(weight[targets] * 2, weight, targets).sum().backward()
    mine, weight.grad = weight.grad, None
    oracle(weight[targets] * 2, weight, targets).sum().backward()
    torch.testing.assert_close(mine, weight.grad)


def test_a_weights_gradient_is_added_to_the_sum_it_is_given_and_autograd_gets_none():
    tensors, targets = inputs()
    hidden, weight = tensors["hidden"], tensors["weight"]
    hidden_gradient, weight_gradient = torch.autograd.grad(oracle(hidden, weight, targets).sum(), [hidden, weight])
    total = torch.ones_like(weight)
    token_logprobs(hidden, weight, targets, weight_sum_VH=total).sum().backward()
    torch.testing.assert_close(total, 1 + weight_gradient)
    torch.testing.assert_close(hidden.grad, hidden_gradient)
    assert weight.grad is None


def test_bf16_states_are_close_to_fp32_and_the_weights_gradient_stays_fp32():
    tensors, targets = inputs(torch.float32)
    hidden, weight = tensors["hidden"], tensors["weight"]
    exact = oracle(hidden, weight, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = token_logprobs(hidden, weight, targets)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, exact, rtol=0.05, atol=0.05)
    (grad,) = torch.autograd.grad(ours.sum(), [weight])
    (expected,) = torch.autograd.grad(exact.sum(), [weight])
    assert grad.dtype == torch.float32
    assert float((grad - expected).norm() / expected.norm()) < 0.02


def test_logits_far_out_do_not_overflow():
    hidden, weight = torch.tensor([[1e4], [-1e4]]), torch.tensor([[1.0], [-1.0]])
    out = token_logprobs(hidden, weight, torch.tensor([0, 0]))
    torch.testing.assert_close(out, torch.tensor([0.0, -2e4]))


def test_no_token_to_score_gives_no_value_and_a_zero_gradient():
    weight = torch.randn(V, H, requires_grad=True)
    out = token_logprobs(torch.empty(0, H), weight, torch.empty(0, dtype=torch.int64))
    out.sum().backward()
    assert out.shape == (0,)
    assert float(weight.grad.abs().sum()) == 0.0


def test_no_more_logits_than_a_chunk_are_held_at_once(monkeypatch):
    monkeypatch.setattr(logprobs, "CHUNK_BYTES", 4 * V * 5)
    tensors, _ = inputs(torch.float32)
    slices = [rows for rows, _ in logprobs._chunks(tensors["hidden"], tensors["weight"])]
    assert max(s.stop - s.start for s in slices) <= 5
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(K))


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_the_kl_from_a_reference_and_its_gradient_are_those_of_whole_distributions(softcap):
    tensors, targets = inputs()
    hidden, weight, bias = tensors.values()
    generator = torch.Generator().manual_seed(1)
    other = torch.randn(K, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    other_head = Head(torch.randn(V, 3, generator=generator, dtype=torch.float64, requires_grad=True))
    head = Head(weight, bias, softcap)
    ours = token_measures(hidden, head, targets, collision=True, reference=(other, other_head))
    z = hidden @ weight.T + bias
    log_p = (z if softcap is None else softcap * torch.tanh(z / softcap)).log_softmax(-1)
    log_q = (other @ other_head.weight_VH.T).log_softmax(-1).detach()
    kl_K = (log_q.exp() * (log_q - log_p)).sum(-1)
    torch.testing.assert_close(ours.kl_K, kl_K, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.kl_K, token_kl(other, other_head, hidden, head), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.logprob_K, log_p.gather(1, targets[:, None])[:, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.collision_K, (2 * log_p).logsumexp(-1))
    some, more = torch.linspace(-1, 2, K, dtype=torch.float64), torch.linspace(3, -1, K, dtype=torch.float64)
    learned = [hidden, weight, bias]
    mine = torch.autograd.grad((some * ours.logprob_K + more * ours.kl_K).sum(), learned, retain_graph=True)
    theirs = torch.autograd.grad((some * oracle(hidden, weight, targets, bias, softcap) + more * kl_K).sum(), learned)
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    assert torch.autograd.grad(ours.kl_K.sum(), other, allow_unused=True) == (None,), "the reference learns nothing"


def test_a_model_beside_itself_has_no_kl():
    tensors, targets = inputs(torch.float32)
    head = Head(tensors["weight"], tensors["bias"])
    beside = (tensors["hidden"].detach(), Head(tensors["weight"].detach(), tensors["bias"].detach()))
    found = token_measures(tensors["hidden"], head, targets, reference=beside).kl_K
    assert torch.equal(found, torch.zeros(K)), "logits are compared before they are normalised"


def test_what_the_reference_never_says_adds_nothing_to_the_kl():
    never = torch.tensor([[0.0], [0.0], [-torch.inf]])
    both = (torch.ones(1, 1), Head(never))
    assert token_measures(torch.ones(1, 1), Head(never), torch.tensor([0]), reference=both).kl_K.tolist() == [0.0]

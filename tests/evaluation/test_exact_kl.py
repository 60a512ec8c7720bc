"""The KL that sums over the vocabulary: against full distributions, and its mean and spread against enumeration."""

import itertools

import pytest
import torch

from penchant.errors import ModelError
from penchant.evaluation.exact_kl import exact_kl
from penchant.evaluation.predicted import Predicted
from penchant.models.logprobs import Head, token_kl


def test_token_kl_is_that_of_the_full_distributions_however_it_is_cut(monkeypatch):
    torch.manual_seed(0)
    p_KH, q_KH = torch.randn(7, 4, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)
    p_head = Head(torch.randn(11, 4, dtype=torch.float64), torch.randn(11, dtype=torch.float64), 2.0)
    q_head = Head(torch.randn(11, 3, dtype=torch.float64))
    log_p = torch.log_softmax(2 * torch.tanh((p_KH @ p_head.weight_VH.T + p_head.bias_V) / 2), -1)
    log_q = torch.log_softmax(q_KH @ q_head.weight_VH.T, -1)
    expected = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
    for chunk in (1, 10**9):
        monkeypatch.setattr("penchant.models.logprobs.CHUNK_BYTES", chunk)
        torch.testing.assert_close(token_kl(p_KH, p_head, q_KH, q_head), expected, rtol=1e-12, atol=1e-12)


def test_its_mean_over_all_responses_is_the_exact_kl_and_it_varies_less_than_the_log_ratio():
    """Responses of three tokens out of three: a state for every prefix, so that every response can be listed."""
    torch.manual_seed(1)
    prefixes = [p for n in range(3) for p in itertools.product(range(3), repeat=n)]
    place = {prefix: i for i, prefix in enumerate(prefixes)}
    states = torch.eye(len(prefixes), dtype=torch.float64)
    heads = [Head(torch.randn(3, len(prefixes), dtype=torch.float64)) for _ in range(2)]
    log_p, log_q = (torch.log_softmax(head.weight_VH.T, -1) for head in heads)
    responses = list(itertools.product(range(3), repeat=3))
    sums = [torch.stack([sum(log[place[y[:t]], y[t]] for t in range(3)) for y in responses]) for log in (log_p, log_q)]
    hidden_KH = states[[place[y[:t]] for y in responses for t in range(3)]]
    of_K = torch.arange(len(responses)).repeat_interleave(3)
    found = exact_kl(*(Predicted(hidden_KH, of_K, head) for head in heads))
    p, plain = sums[0].exp(), sums[0] - sums[1]
    exact = (p * plain).sum()
    torch.testing.assert_close((p * found).sum(), exact, rtol=1e-12, atol=1e-12)
    assert (p * (found - exact) ** 2).sum() < 0.8 * (p * (plain - exact) ** 2).sum()
    assert (found >= 0).all()


def test_models_that_are_nearly_equal_are_not_below_zero_by_rounding():
    torch.manual_seed(0)
    hidden_KH, weight_VH = torch.randn(64, 8), torch.randn(500, 8)
    near = hidden_KH + 1e-6 * torch.randn(64, 8)
    head = Head(weight_VH)
    assert (token_kl(hidden_KH, head, near, head) < 0).any(), "or this tests nothing"
    found = exact_kl(*(Predicted(states, torch.arange(64), head) for states in (hidden_KH, near)))
    assert (found >= 0).all()
    assert exact_kl(*(Predicted(torch.full((1, 8), x), torch.arange(1), head) for x in (float("nan"), 1.0))).isnan()


def test_models_of_different_vocabularies_have_no_kl():
    sides = [Predicted(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), Head(torch.zeros(v, 2))) for v in (5, 6)]
    with pytest.raises(ModelError, match="5 tokens and the reference one of 6"):
        exact_kl(*sides)
    with pytest.raises(ValueError, match="one vocabulary"):
        token_kl(sides[0].hidden_KH, sides[0].head, sides[1].hidden_KH, sides[1].head)

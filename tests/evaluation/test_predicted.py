"""Distributions of every next token: entropy against enumeration, and models that run their own code."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch

from penchant.data import Message, Origin, Prompt
from penchant.evaluation.evaluate import evaluate
from penchant.evaluation.exact_kl import exact_kl_from
from penchant.evaluation.forgetting import forgetting_of, read_demonstrations, token_logprobs_of
from penchant.evaluation.judges import FunctionJudge
from penchant.evaluation.predicted import Predicted, mean_entropy, predict
from penchant.models.load import load_model
from penchant.models.logprobs import Head, token_entropy
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams
from penchant.progress import Silent
from penchant.ranking.winrate import paired_means
from penchant.tokens import EncodedExample, TokenSequence

SEQUENCES = [TokenSequence.of([1, 5, 9], [7, 8, 9, 4]), TokenSequence.of([1, 5], [300, 2])]
ROWS = [
    {"prompt": "Once there was a dog", "completion": " who was happy and ran."},
    {"prompt": "Once there was a cat", "completion": " who slept."},
    {"text": "The sun was warm. The birds sang in the trees."},
]


@pytest.fixture(scope="module")
def load(stories260k):
    def load(by=0.0, why_unshared=""):
        model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=by)
        if why_unshared:
            model.stop_sharing(why_unshared)
        return model

    return load


def test_token_entropy_is_that_of_the_full_distribution_however_it_is_cut(monkeypatch):
    torch.manual_seed(0)
    hidden_KH, head = torch.randn(7, 4).double(), Head(torch.randn(11, 4).double(), torch.randn(11).double(), 2.0)
    logits = 2 * torch.tanh((hidden_KH @ head.weight_VH.T + head.bias_V) / 2)
    expected = torch.distributions.Categorical(logits=logits).entropy()
    for chunk in (1, 10**9):
        monkeypatch.setattr("penchant.models.logprobs.CHUNK_BYTES", chunk)
        torch.testing.assert_close(token_entropy(hidden_KH, head), expected, rtol=1e-12, atol=1e-12)


def test_the_mean_of_the_entropies_over_all_responses_is_the_entropy_of_the_responses():
    """Three tokens out of three, every response listed: chain rule, and it varies less than -log p."""
    torch.manual_seed(1)
    prefixes = [p for n in range(3) for p in itertools.product(range(3), repeat=n)]
    place = {prefix: i for i, prefix in enumerate(prefixes)}
    head = Head(torch.randn(3, len(prefixes), dtype=torch.float64))
    log = torch.log_softmax(head.weight_VH.T, -1)
    responses = list(itertools.product(range(3), repeat=3))
    log_p = torch.stack([sum(log[place[y[:t]], y[t]] for t in range(3)) for y in responses])
    hidden_KH = torch.eye(len(prefixes), dtype=torch.float64)[[place[y[:t]] for y in responses for t in range(3)]]
    found = 3 * mean_entropy(Predicted(hidden_KH, torch.arange(len(responses)).repeat_interleave(3), head))
    exact = -(log_p.exp() * log_p).sum()
    torch.testing.assert_close((log_p.exp() * found).sum(), exact, rtol=1e-12, atol=1e-12)
    assert (log_p.exp() * (found - exact) ** 2).sum() < 0.5 * (log_p.exp() * (-log_p - exact) ** 2).sum()


@pytest.mark.slow(threads=1)
def test_a_model_that_runs_its_own_code_has_the_same_exact_kl(load):
    shared, own = (
        exact_kl_from(predict(load(0.02, why), SEQUENCES), load(0.0, why), SEQUENCES) for why in ("", "its own code")
    )
    torch.testing.assert_close(shared, own, rtol=1e-3, atol=1e-4)
    assert (own > 0).all()


def test_a_model_whose_head_alone_does_not_make_its_log_probs_says_so_rather_than_measure_something_else(load):
    model = load(0.0, "its own code")
    forward = model.network.forward

    def scaled(**inputs):
        out = forward(**inputs)
        out.logits = 0.5 * out.logits
        return out

    model.network.forward = scaled
    why = predict(model, SEQUENCES)
    assert "whose log-probs need more than the last hidden states and the head" in why
    assert exact_kl_from(why, load(), SEQUENCES) == why


def test_what_was_forgotten_is_the_perplexity_of_all_tokens_and_its_ratio_has_an_interval(load):
    before, after = load(), load(0.03)
    examples = read_demonstrations(before, ROWS, Silent())
    sides = [token_logprobs_of(model, examples, Silent(), "") for model in (before, after)]
    found = forgetting_of(examples, *sides)
    num = sum(int(one.scored.sum()) for example in examples for one in example.sequences)
    expected = [float(torch.exp(-side.sum() / num)) for side in sides]
    assert (found.before, found.after) == pytest.approx(expected)
    assert found.ratio == pytest.approx(expected[1] / expected[0])
    assert (found.num_tokens, found.num_demonstrations) == (num, 3)
    assert found.low < found.ratio < found.high
    # leaving out one demonstration at a time, by hand
    tokens = [sum(int(s.scored.sum()) for s in e.sequences) for e in examples]
    lost = [float(sides[0][i] - sides[1][i]) for i in range(3)]
    without = [sum(lost[:i] + lost[i + 1 :]) / (num - tokens[i]) for i in range(3)]
    mean = sum(without) / 3
    error = (2 / 3 * sum((w - mean) ** 2 for w in without)) ** 0.5
    assert found.high == pytest.approx(found.ratio * torch.tensor(4.302653 * error).exp().item(), rel=1e-4)
    same = forgetting_of(examples, sides[0], sides[0])
    assert (same.ratio, same.low, same.high) == (1.0, None, None)
    # what copies of each sequence's mean, one for every token, would give
    counts = [int(s.scored.sum()) for e in examples for s in e.sequences]
    copies = [np.repeat(-side.numpy() / counts, counts) for side in sides]
    origins = np.repeat([str(e.origin) for e in examples for _ in e.sequences], counts)
    expected = paired_means(*(side.tolist() for side in copies), origins.tolist())
    assert (found.low, found.high) == pytest.approx((math.exp(expected.low), math.exp(expected.high)), rel=1e-9)


def test_long_demonstrations_are_weighed_not_copied():
    ids = np.zeros(10**6, dtype=np.int64)
    examples = [
        EncodedExample((TokenSequence(ids[:num], np.arange(num) > 0),), Origin(file="x", line=num))
        for num in (10**6, 9)
    ]
    before, after = (torch.tensor(side, dtype=torch.float64) for side in ([-3e6, -16.0], [-2e6, -24.0]))
    tracemalloc.start()
    found = forgetting_of(examples, before, after)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.num_tokens == 10**6 - 1 + 8
    assert found.ratio == pytest.approx(math.exp((2e6 + 24 - 3e6 - 16) / found.num_tokens))
    assert peak < 10**6


@pytest.mark.slow(threads=1)
def test_an_evaluation_holds_entropy_held_out_accuracy_and_what_was_forgotten(load):
    prompts = [Prompt(messages=(Message(role="user", content=f"Once {i}"),), id=str(i)) for i in range(3)]
    pairs = [{"prompt": "Once there was a dog", "chosen": " who was happy.", "rejected": " who ran away."}]
    longer = FunctionJudge("longer", lambda prompt, response: len(response))
    found = evaluate(
        load(0.02),
        prompts,
        longer,
        reference=load(),
        sampling=SamplingParams(temperature=0.7, max_new_tokens=4),
        pairs=pairs,
        demonstrations=ROWS,
    )
    entropy = next(change.means for change in found.changes if change.name == "entropy")
    assert 0 < entropy.before < 6.3  # log 512, the size of the vocabulary
    assert found.kl_exact.mean > 0
    assert found.accuracy.accuracy.num == 1
    assert found.forgetting.num_demonstrations == 3
    assert found.as_dict()["accuracy"]["calibration"]["brier"]["value"] == found.accuracy.calibration.brier.value

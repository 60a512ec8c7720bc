"""Sampling: the distribution is the model's, a response does not depend on its company, log-probs are the scorer's."""

import dataclasses
import math
from collections import deque

import numpy as np
import pytest
import torch

from penchant.errors import ConfigError, ModelError
from penchant.models.forward import score_sequences
from penchant.models.generate import Request, Response, generate, writer_for
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.requests import Job
from penchant.models.sampler import SamplingParams, sample, uniforms
from penchant.tokens import TokenSequence

TEXTS = (
    "Once upon a time",
    "Once upon a time there was a little dog. He had a red ball",
    "Tom and Anna went to the park. They saw a very big slide and Tom said",
    "The cat",
    "Once upon a time there was a little dog. He liked to run and",
    "Lily was sad because her toy",
    "One day",
)


@pytest.fixture(scope="module")
def stories(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")


@pytest.fixture(scope="module")
def unshared(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain", share=False)


def requests_for(model, texts=TEXTS):
    return [Request(tuple(model.tokenizer.encode(text)), text) for text in texts]


def by_key(groups):
    return {group[0].key: group for group in groups}


def token_ids(groups):
    return {key: [response.token_ids for response in group] for key, group in by_key(groups).items()}


def write(model, texts=TEXTS, num_responses=2, batch_size=64, **settings):
    params = SamplingParams(**{"max_new_tokens": 24, **settings})
    return list(generate(model, requests_for(model, texts), params, num_responses=num_responses, batch_size=batch_size))


def next_token_probabilities(model, prompt_ids):
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([prompt_ids])).logits[0, -1]
    return torch.softmax(logits.double(), -1).numpy()


def restricted(probabilities, temperature=1.0, top_k=0, top_p=1.0):
    """Temperature, top-k and nucleus as their definitions say, by sorting everything."""
    logits = np.log(probabilities) / temperature
    p = np.exp(logits - logits.max())
    p /= p.sum()
    order = np.argsort(-p)
    if top_k:
        p[order[top_k:]] = 0
        p /= p.sum()
    kept, mass = [], 0.0
    for token in order:
        if mass >= top_p:
            break
        kept.append(token)
        mass += p[token]
    out = np.zeros_like(p)
    out[kept] = p[kept]
    return out / out.sum()


def chi_square_is_plausible(counts, probabilities):
    """Pearson's statistic, rare tokens in one bin, within five standard deviations of its mean."""
    expected = probabilities * counts.sum()
    common = expected >= 5
    observed = np.append(counts[common], counts[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    statistic = ((observed - expected) ** 2 / expected).sum()
    degrees = len(expected) - 1
    return statistic < degrees + 5 * math.sqrt(2 * degrees)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 1.7},
        {"top_k": 7},
        {"top_p": 0.8},
        {"temperature": 1.3, "top_k": 20, "top_p": 0.9},
    ],
)
def test_first_tokens_follow_the_distribution_that_was_asked_for(stories, unshared, settings):
    (group,) = write(stories, ["Once upon a time there was a"], num_responses=6000, max_new_tokens=1, **settings)
    prompt_ids = requests_for(stories, ["Once upon a time there was a"])[0].prompt_ids
    expected = restricted(next_token_probabilities(unshared, prompt_ids), **settings)
    counts = np.bincount([response.token_ids[0] for response in group], minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    assert chi_square_is_plausible(counts, expected)


@pytest.mark.slow(threads=1)
def test_second_tokens_follow_the_distribution_given_the_first(stories, unshared):
    (group,) = write(stories, ["Once upon a time there was a"], num_responses=6000, max_new_tokens=2)
    first = [response.token_ids[0] for response in group]
    most_common = max(set(first), key=first.count)
    seconds = [response.token_ids[1] for response in group if response.token_ids[0] == most_common]
    prompt_ids = [*requests_for(stories, ["Once upon a time there was a"])[0].prompt_ids, most_common]
    expected = next_token_probabilities(unshared, prompt_ids)
    assert len(seconds) > 300
    assert chi_square_is_plausible(np.bincount(seconds, minlength=len(expected)), expected)


@pytest.mark.parametrize("vocabulary", [3, 256, 257, 2500])
@pytest.mark.parametrize("settings", [{}, {"top_p": 0.95}, {"temperature": 2.0}])
def test_the_sampler_inverts_the_cumulative_distribution_for_any_vocabulary(vocabulary, settings):
    generator = torch.Generator().manual_seed(vocabulary)
    logits = torch.randn(1, vocabulary, generator=generator)
    num = 3000
    uniform = torch.rand(num, generator=generator, dtype=torch.float64)
    tokens, logprobs = sample(logits.expand(num, -1), uniform, SamplingParams(**settings))
    exact = torch.softmax(logits[0].double(), -1)
    assert chi_square_is_plausible(
        np.bincount(tokens.numpy(), minlength=vocabulary), restricted(exact.numpy(), **settings)
    )
    torch.testing.assert_close(logprobs.double(), exact.log()[tokens], rtol=1e-5, atol=1e-5)


def test_top_p_keeps_the_token_that_reaches_the_mass_and_no_more():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    uniform = torch.linspace(0, 1 - 1e-9, 500, dtype=torch.float64)
    for top_p, kept in ((0.4, {0}), (0.6, {0, 1}), (0.9, {0, 1, 2}), (0.97, {0, 1, 2, 3})):
        tokens, _ = sample(logits.expand(500, -1), uniform, SamplingParams(top_p=top_p))
        assert set(tokens.tolist()) == kept


def test_a_token_of_probability_zero_is_never_drawn_even_at_the_ends_of_the_unit_interval():
    logits = torch.full((3, 700), float("-inf"))
    logits[:, 300] = 1.0
    logits[:, 301] = 1.0
    ends = torch.tensor([0.0, 0.5, 1 - 2.0**-53], dtype=torch.float64)
    for settings in ({}, {"temperature": 0.5}, {"top_p": 0.99}, {"top_k": 5}):
        tokens, _ = sample(logits, ends, SamplingParams(**settings))
        assert set(tokens.tolist()) <= {300, 301}


def test_uniform_numbers_are_a_fixed_series_of_what_the_response_is():
    series = uniforms(1, "key", 0, 0, 50)
    assert np.array_equal(series[:20], uniforms(1, "key", 0, 0, 20))
    assert 0 <= series.min() < series.max() < 1
    for other in ((2, "key", 0, 0), (1, "yek", 0, 0), (1, "key", 1, 0), (1, "key", 0, 1)):
        assert not np.array_equal(series, uniforms(*other, 50))
    assert uniforms(0, "prompt", 0, 0, 2) == pytest.approx([0.33275980311676423, 0.7947344246643991], abs=0)


@pytest.mark.slow(threads=1)
def test_greedy_decoding_equals_that_of_transformers(stories, stories260k):
    from transformers import AutoModelForCausalLM

    peer = AutoModelForCausalLM.from_pretrained(str(stories260k), dtype=torch.float32).eval()
    groups = by_key(write(stories, num_responses=1, temperature=0.0, max_new_tokens=60))
    for request in requests_for(stories):
        ids = torch.tensor([request.prompt_ids])
        out = peer.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=60, pad_token_id=0
        )
        assert list(groups[request.key][0].token_ids) == out[0, ids.shape[1] :].tolist()


@pytest.mark.slow(threads=1)
def test_a_response_depends_neither_on_the_batch_nor_on_the_order_of_prompts(stories):
    alone = token_ids(write(stories, batch_size=1))
    assert token_ids(write(stories, batch_size=3)) == alone
    assert token_ids(write(stories, batch_size=64)) == alone
    assert token_ids(write(stories, TEXTS[::-1], batch_size=5)) == alone
    assert token_ids(write(stories, TEXTS[2:4])).items() <= alone.items()


@pytest.mark.slow(threads=1)
def test_a_response_depends_on_its_index_alone_not_on_how_many_there_are(stories):
    two, five = token_ids(write(stories)), token_ids(write(stories, num_responses=5, batch_size=7))
    assert all(five[key][:2] == two[key] for key in two)


def test_a_limit_of_tokens_cuts_the_same_response(stories):
    short, long = token_ids(write(stories, max_new_tokens=5)), token_ids(write(stories, max_new_tokens=30))
    assert all(a == b[:5] for key in short for a, b in zip(short[key], long[key], strict=True))


@pytest.mark.slow(threads=1)
def test_seeds_indices_and_keys_give_different_responses(stories):
    zero, one = token_ids(write(stories)), token_ids(write(stories, seed=1))
    assert all(zero[key] != one[key] and zero[key][0] != zero[key][1] for key in zero)
    ids = tuple(stories.tokenizer.encode("The cat"))
    twins = list(generate(stories, [Request(ids, "a"), Request(ids, "b")], SamplingParams(max_new_tokens=20)))
    assert twins[0][0].token_ids != twins[1][0].token_ids


@pytest.mark.slow(threads=1)
def test_logprobs_are_what_the_model_assigns_whatever_was_drawn_from(stories):
    prompts = {request.key: request.prompt_ids for request in requests_for(stories)}
    for settings in ({}, {"temperature": 0.6, "top_p": 0.9}, {"temperature": 0.0}):
        responses = [response for group in write(stories, batch_size=4, **settings) for response in group]
        with torch.no_grad():
            scored = score_sequences(stories, [TokenSequence.of(prompts[one.key], one.token_ids) for one in responses])
        assert [one.logprob for one in responses] == pytest.approx(scored.tolist(), abs=1e-4)


@pytest.mark.slow(threads=1)
def test_a_response_stops_with_the_end_token_it_sampled(stories, monkeypatch):
    (stop,) = stories.tokenizer.encode("a.", add_special_tokens=False)[-1:]
    free = token_ids(write(stories, max_new_tokens=40, batch_size=3))
    monkeypatch.setattr(stories.encoder, "end_ids", frozenset({stop}))
    groups = write(stories, max_new_tokens=40, batch_size=3)
    responses = [response for group in groups for response in group]
    assert {response.finished for response in responses} == {True, False}
    for response in responses:
        whole = free[response.key][response.index]
        ended = stop in whole
        assert response.finished == ended
        assert response.token_ids == (whole[: whole.index(stop) + 1] if ended else whole)


@pytest.mark.slow
def test_what_the_model_computes_itself_without_sharing_is_the_same(stories, unshared):
    assert unshared.why_unshared
    for settings in ({}, {"temperature": 0.7, "top_k": 30}, {"temperature": 0.0}):
        shared_groups, groups = by_key(write(stories, **settings)), by_key(write(unshared, **settings))
        for key, group in groups.items():
            assert [one.token_ids for one in group] == [one.token_ids for one in shared_groups[key]]
            assert [one.logprob for one in group] == pytest.approx([o.logprob for o in shared_groups[key]], abs=1e-3)


@pytest.mark.slow(threads=1)
def test_the_unshared_way_stops_at_end_tokens_too(unshared, monkeypatch):
    free = token_ids(write(unshared, max_new_tokens=40))
    (stop,) = unshared.tokenizer.encode("a.", add_special_tokens=False)[-1:]
    monkeypatch.setattr(unshared.encoder, "end_ids", frozenset({stop}))
    for group in write(unshared, max_new_tokens=40):
        for response in group:
            whole = free[response.key][response.index]
            assert response.finished == (stop in whole)
            assert response.token_ids == (whole[: whole.index(stop) + 1] if stop in whole else whole)


def test_a_long_prompt_in_blocks_beside_short_ones_is_computed_exactly(llama):
    """Longer than one block of queries, and longer than the room the cache starts with."""
    ids = tuple(np.random.default_rng(0).integers(2, 200, 200).tolist())
    requests = [Request(ids[:150], "a"), Request(ids[:200], "b"), Request(ids[:3], "c"), Request(ids[5:9], "d")]
    params = SamplingParams(max_new_tokens=40, temperature=1.0)
    responses = [one for group in generate(llama, requests, params, batch_size=4) for one in group]
    prompts = {request.key: request.prompt_ids for request in requests}
    with torch.no_grad():
        scored = score_sequences(llama, [TokenSequence.of(prompts[one.key], one.token_ids) for one in responses])
    assert [one.logprob for one in responses] == pytest.approx(scored.tolist(), abs=1e-3)


@pytest.mark.slow(threads=1)
def test_blocks_of_queries_change_nothing(stories, monkeypatch):
    from penchant.models import kv_cache

    whole = token_ids(write(stories))
    monkeypatch.setattr(kv_cache, "QUERY_BLOCK", 3)
    assert token_ids(write(stories)) == whole


def test_a_common_beginning_is_run_once(stories):
    beginning = "Once upon a time there was a little dog. He liked to run and"
    texts = [beginning + end for end in (" play", " jump", " sing", " sleep", " eat")]
    before = stories.num_tokens_run
    write(stories, texts, max_new_tokens=2)
    lengths = [len(request.prompt_ids) for request in requests_for(stories, texts)]
    fed_back = 2 * len(texts)
    assert stories.num_tokens_run - before <= lengths[0] + 5 * (len(texts) - 1) + fed_back


@pytest.mark.parametrize(("batch_size", "rows"), [(64, 14), (14, 14), (5, 5), (1, 2)])
def test_keys_and_values_take_no_more_rows_than_there_are_responses(stories, batch_size, rows):
    params = SamplingParams(max_new_tokens=2)
    jobs = [Job.of(stories, request, params, 2) for request in requests_for(stories)]
    batch = writer_for(stories, jobs, batch_size)
    batch.step(deque(jobs))
    assert {len(keys) for keys in batch.cache.keys_RGDL} == {rows}


def test_the_models_context_limits_a_response(stories):
    ids = tuple(stories.tokenizer.encode("Once upon a time"))
    long = (ids * 200)[: stories.context_length - 3]
    (group,) = generate(stories, [Request(long, "long")], SamplingParams(max_new_tokens=10))
    assert [len(response.token_ids) for response in group] == [3, 3]
    assert not any(response.finished for response in group)


def test_a_prompt_that_fills_the_context_is_refused_before_anything_is_sampled(stories):
    with pytest.raises(ModelError, match=r"prompt too-long: its 512 tokens leave no room .* context of 512"):
        generate(stories, [Request((5,), "fine"), Request((5,) * 512, "too-long")], SamplingParams())


def test_a_prompt_without_tokens_is_refused(stories):
    with pytest.raises(ModelError, match="prompt nothing: is empty, so there is no token"):
        generate(stories, [Request((), "nothing")], SamplingParams())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, name):
    with pytest.raises(ConfigError, match=f"^{name} must be .*, got "):
        SamplingParams(**settings)


def test_counts_that_mean_nothing_are_refused(stories):
    with pytest.raises(ConfigError, match="num_responses must be at least 1, got 0"):
        generate(stories, [], SamplingParams(), num_responses=0)
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got 0"):
        generate(stories, [], SamplingParams(), batch_size=0)


def test_no_prompts_give_no_responses(stories, unshared):
    assert list(generate(stories, [], SamplingParams())) == []
    assert list(generate(unshared, [], SamplingParams())) == []


@pytest.mark.slow(threads=1)
def test_one_response_a_prompt_and_chosen_indices_are_possible(stories):
    all_of_them = token_ids(write(stories, num_responses=4))
    assert all(len(group) == 1 for group in write(stories, num_responses=1))
    requests = [dataclasses.replace(request, indices=(3, 1)) for request in requests_for(stories)]
    for group in generate(stories, requests, SamplingParams(max_new_tokens=24)):
        assert [response.index for response in group] == [1, 3]
        assert [response.token_ids for response in group] == [all_of_them[group[0].key][i] for i in (1, 3)]


def test_progress_counts_finished_prompts_and_tokens(stories):
    seen = []
    groups = list(
        generate(
            stories,
            requests_for(stories),
            SamplingParams(max_new_tokens=9),
            batch_size=4,
            on_progress=lambda *counts: seen.append(counts),
        )
    )
    assert seen == sorted(seen)
    assert seen[-1] == (len(TEXTS), sum(len(response.token_ids) for group in groups for response in group))


def test_sampling_leaves_gradients_and_the_matmul_setting_of_the_caller_as_they_were(stories):
    precision = torch.get_float32_matmul_precision()
    for _group in generate(stories, requests_for(stories)[:2], SamplingParams(max_new_tokens=3), num_responses=1):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert torch.get_float32_matmul_precision() == precision
    loss = score_sequences(stories, [TokenSequence.of([5, 6], [7])]).sum()
    loss.backward()
    stories.network.zero_grad()


def test_a_response_is_a_plain_record(stories):
    (group,) = write(stories, ["The cat"], num_responses=1, max_new_tokens=2)
    assert isinstance(group[0], Response)
    assert all(type(token) is int for token in group[0].token_ids)
    assert type(group[0].logprob) is float
    assert type(group[0].index) is int
    assert type(group[0].finished) is bool


@pytest.mark.slow
def test_greedy_decoding_of_the_starter_model_equals_that_of_transformers():
    from transformers import AutoModelForCausalLM

    model = load_model("smollm2-135m", choose_numerics("cpu", "float32"))
    peer = AutoModelForCausalLM.from_pretrained(str(model.path), dtype=torch.float32).eval()
    texts = ["The capital of France is", "Once upon a time", "def add(a, b):"]
    groups = by_key(write(model, texts, num_responses=1, temperature=0.0, max_new_tokens=24))
    ends = sorted(model.encoder.end_ids)
    for request in requests_for(model, texts):
        ids = torch.tensor([request.prompt_ids])
        out = peer.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=24,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        assert list(groups[request.key][0].token_ids) == out[0, ids.shape[1] :].tolist()

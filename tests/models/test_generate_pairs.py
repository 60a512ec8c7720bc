"""Responses that read the same are sampled again, a few times, and then said to be identical."""

from dataclasses import replace

import pytest

from penchant.data import Message
from penchant.models import pair_sampling
from penchant.models.generate import Request, generate
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.pair_sampling import sample_pairs
from penchant.models.sampler import SamplingParams

TEXTS = ("Once upon a time", "The cat", "Lily was sad because her toy", "One day", "Tom and his mom", "They saw a")
SHORT = SamplingParams(max_new_tokens=1)


@pytest.fixture(scope="module")
def stories(stories260k):
    return load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")


def requests_for(model):
    return [Request(tuple(model.tokenizer.encode(text)), f"{text} {copy}") for text in TEXTS for copy in range(10)]


def text_of(model, response):
    return model.encoder.decode(response.token_ids).strip()


@pytest.mark.slow(threads=1)
def test_identical_responses_are_sampled_again_and_the_rest_is_left_as_it_was(stories):
    requests = requests_for(stories)
    first = {group[0].key: group for group in generate(stories, requests, SHORT)}
    groups = list(sample_pairs(stories, requests, SHORT, attempts=8))
    assert sorted(group.request.key for group in groups) == sorted(first)
    resampled = 0
    for group in groups:
        a, b = group.responses
        before = first[group.request.key]
        assert a == before[0]
        assert group.identical == (text_of(stories, a) == text_of(stories, b))
        if text_of(stories, before[0]) == text_of(stories, before[1]):
            resampled += 1
            assert b.attempt > 0
            assert b.index == 1
        else:
            assert b == before[1]
    assert resampled > 3
    assert sum(group.identical for group in groups) < resampled


def test_what_is_still_identical_after_the_last_attempt_is_flagged(stories):
    certain = SamplingParams(max_new_tokens=1, top_k=1)
    groups = list(sample_pairs(stories, requests_for(stories)[:3], certain, attempts=2))
    assert all(group.identical for group in groups)
    assert [[response.attempt for response in group.responses] for group in groups] == [[0, 2]] * 3


def test_greedy_responses_are_flagged_without_another_attempt(stories):
    before = stories.num_tokens_run
    requests = requests_for(stories)[:1]
    (group,) = sample_pairs(stories, requests, SamplingParams(max_new_tokens=1, temperature=0.0))
    assert group.identical
    assert [response.attempt for response in group.responses] == [0, 0]
    assert stories.num_tokens_run - before == len(requests[0].prompt_ids)


@pytest.mark.slow(threads=1)
def test_repeated_runs_give_the_same_pairs(stories):
    one, two = (
        {g.request.key: g for g in sample_pairs(stories, requests_for(stories), SHORT, batch_size=size)}
        for size in (2, 50)
    )
    assert {key: [r.token_ids for r in g.responses] for key, g in one.items()} == {
        key: [r.token_ids for r in g.responses] for key, g in two.items()
    }


@pytest.mark.slow(threads=1)
def test_of_more_than_two_responses_only_the_repeats_are_sampled_again(stories):
    for group in sample_pairs(stories, requests_for(stories)[:20], SHORT, num_responses=4, attempts=20):
        texts = [text_of(stories, response) for response in group.responses]
        assert [response.index for response in group.responses] == [0, 1, 2, 3]
        assert group.identical == (len(set(texts)) < 4)
        assert group.responses[0].attempt == 0


def test_no_prompts_give_no_pairs(stories):
    assert list(sample_pairs(stories, [], SHORT)) == []


def test_two_requests_with_one_key_are_a_mistake_of_the_caller(stories):
    request = requests_for(stories)[0]
    with pytest.raises(AssertionError, match="one key"):
        list(sample_pairs(stories, [request, request], SHORT))


def test_the_space_before_the_first_word_makes_another_continuation(stories, monkeypatch):
    prompt = (Message(role="user", content="There was a dog"),)
    request = Request(tuple(stories.encoder.encode_prompt(prompt)), "dog")
    sampled = next(generate(stories, [request], SHORT))
    texts = (" s", "s")
    answers = [
        replace(response, token_ids=stories.encoder.encode_response(prompt, text))
        for response, text in zip(sampled, texts, strict=True)
    ]
    monkeypatch.setattr(pair_sampling, "generate", lambda _, todo, *__, **___: iter([answers] if todo else []))
    (group,) = sample_pairs(stories, [request], SHORT)
    assert not group.identical

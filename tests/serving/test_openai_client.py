"""OpenAI's own client against a model of ours: texts are those that sampling gives, whatever runs beside them."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from penchant.data import Message, prompt_id
from penchant.data.load import load_prompts
from penchant.evaluation.authors import ModelAuthor
from penchant.evaluation.candidates import sample_prompts
from penchant.models.generate import Request, generate
from penchant.models.sampler import SamplingParams

openai = pytest.importorskip("openai", reason="OpenAI's own client asks; install the extra `oracle`")

DOG = "Once upon a time there was a little dog"


def sampled_all(model, texts, num=1, **how):
    """What `penchant sample` gives for each text."""
    asked = [(Message(role="user", content=text),) for text in texts]
    requests = [Request(tuple(model.encoder.encode_prompt(one)), prompt_id(one)) for one in asked]
    found = {}
    for responses in generate(model, requests, SamplingParams(**how), num_responses=num):
        ids = next(request.prompt_ids for request in requests if request.key == responses[0].key)
        found[responses[0].key] = [model.encoder.decode_response(ids, response.token_ids) for response in responses]
    return [found[request.key] for request in requests]


def sampled(model, text, num=1, **how):
    return sampled_all(model, [text], num, **how)[0]


def chat(client, service, text=DOG, **how):
    return client.chat.completions.create(model=service.model, messages=[{"role": "user", "content": text}], **how)


def streamed(chunks):
    """The texts of a stream by the numbers of their answers, and how each ended."""
    texts, endings = {}, {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                endings[choice.index] = choice.finish_reason
    return texts, endings


@pytest.mark.slow(threads=1)
def test_a_seed_gives_the_text_that_sampling_gives(client, service, story_model):
    reply = chat(client, service, seed=3, temperature=0.9, top_p=0.95, max_tokens=20, n=3)
    expected = sampled(story_model, DOG, 3, seed=3, temperature=0.9, top_p=0.95, max_new_tokens=20)
    assert [choice.message.content for choice in reply.choices] == expected
    assert {choice.finish_reason for choice in reply.choices} == {"length"}
    assert reply.usage.completion_tokens == 60


def test_samples_of_a_file_are_those_of_the_server(client, service, story_model):
    prompts = load_prompts([{"prompt": DOG}, {"prompt": "Tom saw a cat"}]).records
    rows = sample_prompts(ModelAuthor(story_model, SamplingParams(0.8, max_new_tokens=12, seed=5)), prompts).rows
    for prompt, row in zip(prompts, rows, strict=True):
        reply = chat(client, service, prompt.messages[0].content, seed=5, temperature=0.8, max_tokens=12, n=2)
        assert [choice.message.content for choice in reply.choices] == [row["a"]["text"], row["b"]["text"]]


@pytest.mark.slow(threads=1)
def test_a_stream_makes_up_the_whole_reply_and_counts_its_tokens(client, service):
    how = {"seed": 4, "max_tokens": 24, "n": 2}
    whole = chat(client, service, **how)
    chunks = list(chat(client, service, stream=True, stream_options={"include_usage": True}, **how))
    texts, endings = streamed(chunks)
    assert texts == {choice.index: choice.message.content for choice in whole.choices}
    assert endings == {0: "length", 1: "length"}
    assert chunks[-1].usage == whole.usage


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("live", [False, True])
def test_an_answer_ends_before_a_stop_however_it_is_sent(client, service, story_model, live):
    (whole,) = sampled(story_model, DOG, temperature=0.0, max_new_tokens=40)
    stop = whole[15:19]
    reply = chat(client, service, temperature=0, max_tokens=40, stop=["never there", stop], stream=live)
    text, ending = (
        (reply.choices[0].message.content, reply.choices[0].finish_reason)
        if not live
        else [found[0] for found in streamed(reply)]
    )
    assert text == whole[: whole.index(stop)].rstrip()
    assert ending == "stop"


def test_log_probabilities_are_those_of_the_model(client, service, story_model):
    reply = chat(client, service, temperature=0, max_tokens=8, logprobs=True, top_logprobs=3)
    (choice,) = reply.choices
    tokens = choice.logprobs.content
    assert "".join(token.token for token in tokens) == choice.message.content
    assert all(token.logprob == pytest.approx(token.top_logprobs[0].logprob, abs=1e-5) for token in tokens)
    assert all(sum(math.exp(one.logprob) for one in token.top_logprobs) < 1 for token in tokens)
    pieces = list(chat(client, service, temperature=0, max_tokens=8, logprobs=True, stream=True))
    told = [token.token for chunk in pieces for one in chunk.choices if one.logprobs for token in one.logprobs.content]
    assert told == [token.token for token in tokens]


def test_texts_go_on_several_at_once(client, service, story_model):
    texts = [DOG, "Tom saw a big red"]
    reply = client.completions.create(model=service.model, prompt=texts, n=2, seed=6, max_tokens=10, logprobs=1)
    expected = [one for text in texts for one in sampled(story_model, text, 2, seed=6, max_new_tokens=10)]
    assert [choice.text for choice in reply.choices] == expected
    assert [len(choice.logprobs.tokens) for choice in reply.choices] == [10] * 4
    (short,) = client.completions.create(model=service.model, prompt=DOG, seed=6).choices
    assert short.text == sampled(story_model, DOG, seed=6, max_new_tokens=16)[0]


def test_the_model_is_listed_under_its_name(client, service):
    (listed,) = client.models.list().data
    assert listed.id == service.model == client.models.retrieve(service.model).id


@pytest.mark.slow(threads=1)
def test_two_hundred_mixed_requests_at_once_lose_none_and_match_sampling(client, service, story_model):
    """Temperatures, limits, counts and streams in one batch of 16 rows, 32 at a time."""
    starts = ("Once upon a time", "Tom saw a cat", "The sun was", "Lily had a red ball and", "One day")
    ways = ({"temperature": 0.0}, {"temperature": 0.7}, {"temperature": 1.3, "top_p": 0.8}, {"temperature": 1.0})
    kinds = [(way, seed, length, num) for seed, way in enumerate(ways) for length in (2, 5, 9) for num in (1, 2)]
    asked = [(f"{starts[number % 5]} {number}", *kind) for number, kind in zip(range(200), cycle(kinds), strict=False)]

    def ask(number):
        text, way, seed, length, num = asked[number]
        reply = chat(client, service, text, max_tokens=length, n=num, seed=seed, stream=number % 3 == 0, **way)
        if number % 3 == 0:
            return [found for _, found in sorted(streamed(reply)[0].items())]
        return [choice.message.content for choice in reply.choices]

    with ThreadPoolExecutor(32) as threads:
        replies = list(threads.map(ask, range(200)))
    for way, seed, length, num in kinds:
        places = [number for number, one in enumerate(asked) if one[1:] == (way, seed, length, num)]
        texts = [asked[number][0] for number in places]
        expected = sampled_all(story_model, texts, num, seed=seed, max_new_tokens=length, **way)
        assert [replies[number] for number in places] == expected


def test_what_cannot_be_answered_is_the_clients_own_error(client, service):
    with pytest.raises(openai.NotFoundError, match=r"this server has only .*, not 'gpt-9'"):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": DOG}])
    with pytest.raises(openai.BadRequestError, match=r"leave no room") as found:
        chat(client, service, "dog " * 600)
    assert found.value.code == "context_length_exceeded"

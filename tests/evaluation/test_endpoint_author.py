"""Samples from an OpenAI-compatible server: the rows, files and provenance of a model here, kept whatever happens."""

import importlib.util
import json
import threading
from pathlib import Path

import pytest

import penchant as pt
from penchant.data import Comparison
from penchant.errors import ConfigError
from penchant.evaluation.judges import chat_completions

spec = importlib.util.spec_from_file_location("fake_endpoint", Path(__file__).with_name("fake_endpoint.py"))
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

PROMPTS = [f"Name a thing that is {colour}." for colour in ("red", "green", "blue", "grey", "pink", "white")]
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(chat_completions, "FIRST_PAUSE", 0.0)


def said(text, reason="stop", num_tokens=7):
    choice = {"message": {"content": text}, "finish_reason": reason}
    return 200, json.dumps({"choices": [choice], "usage": {"completion_tokens": num_tokens}}), {}


def echo(body):
    """A model that repeats the question and the seed that it was given."""
    return said(f"{body['messages'][-1]['content']} {body['seed']}")


def sample(server, prompts=PROMPTS, **how):
    return pt.sample(None, prompts, endpoint=server.base, endpoint_model="qwen", progress=False, **how)


def test_every_answer_is_asked_for_with_the_settings_and_a_seed_of_its_own():
    with fake.fake_endpoint(echo) as server:
        found = sample(server, temperature=0.7, top_p=0.9, top_k=5, max_new_tokens=33, seed=2)
    asked = {(one["temperature"], one["top_p"], one["top_k"], one["max_tokens"], one["model"]) for one in server.asked}
    assert asked == {(0.7, 0.9, 5, 33, "qwen")}
    assert len({one["seed"] for one in server.asked}) == 2 * len(PROMPTS)
    assert all(0 <= one["seed"] < 2**31 for one in server.asked)
    assert [one.prompt[0].content for one in found.comparisons] == PROMPTS
    assert found.num_tokens == 7 * 2 * len(PROMPTS)


def test_a_field_that_openai_does_not_have_is_sent_where_it_is_asked_for_alone():
    with fake.fake_endpoint(echo) as server:
        sample(server, PROMPTS[:1])
    assert all("top_k" not in one for one in server.asked)


def test_the_rows_say_who_answered_how_and_whether_to_the_end():
    with fake.fake_endpoint(lambda body: said(f"{body['seed']}", "length")) as server:
        (row,) = sample(server, PROMPTS[:1], max_new_tokens=5, seed=3).rows
    pair = Comparison.model_validate(row)
    assert pair.a.source.model == f"qwen at {server.base}"
    assert (pair.a.source.max_new_tokens, pair.a.source.seed) == (5, 3)
    assert (pair.meta["finished"], pair.meta["num_tokens"]) == ([False, False], [7, 7])


def test_the_same_seed_asks_the_same_whatever_is_asked_beside_it():
    with fake.fake_endpoint(echo) as server:
        all_rows = sample(server, concurrency=5).rows
        some = sample(server, PROMPTS[2:4], concurrency=1).rows
    assert some == all_rows[2:4]


def test_what_repeats_an_earlier_answer_is_asked_for_again_and_flagged_where_it_stays():
    with fake.fake_endpoint(lambda body: said("the same")) as server:
        found = sample(server, PROMPTS[:1])
    assert (len(server.asked), found.num_identical, found.rows[0]["meta"]["identical"]) == (1 + 4, 1, True)
    with fake.fake_endpoint(lambda body: said("the same")) as server:
        sample(server, PROMPTS[:1], temperature=0)
    assert len(server.asked) == 2


def test_an_endpoint_that_answers_nonsense_is_one_sentence_and_what_was_sampled_is_kept(tmp_path):
    path = tmp_path / "samples.jsonl"
    answered = iter(range(6))

    def nonsense_later(body):
        return echo(body) if next(answered, None) is not None else (200, "<html>hello</html>", {})

    with fake.fake_endpoint(nonsense_later) as server:
        with pytest.raises(ConfigError, match=r"did not answer as an OpenAI-compatible endpoint does.*hello"):
            sample(server, output=path, concurrency=1)
        assert len(path.read_text().splitlines()) == 3
        server.reply = echo
        found = sample(server, output=path, resume=True)
    assert [one.prompt[0].content for one in found.comparisons] == PROMPTS


@pytest.mark.parametrize(
    "message",
    [
        {"content": None},
        {},
        {"content": 7},
        {"content": []},
        {"content": [{"type": "image_url", "image_url": {}}]},
        {"content": [{"type": "text", "text": None}]},
        {"content": None, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    ],
    ids=json.dumps,
)
def test_a_reply_without_a_text_is_no_empty_answer_but_one_sentence_and_what_was_sampled_is_kept(tmp_path, message):
    path = tmp_path / "samples.jsonl"
    textless = 200, json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}), {}
    with fake.fake_endpoint(lambda body: textless if "red" not in str(body["messages"]) else echo(body)) as server:
        with pytest.raises(ConfigError, match="the model 'qwen' answered without a text") as raised:
            sample(server, output=path, concurrency=1)
        assert len(path.read_text().splitlines()) == 1
        asked = [json.dumps(body) for body in server.asked]
        assert len(set(asked)) == len(asked)  # none is asked again, as it would say the same
    assert json.dumps(message)[:40] in str(raised.value)


def test_parts_of_text_are_one_answer():
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "answer"}]
    with fake.fake_endpoint(lambda body: said(parts)) as server:
        assert sample(server, PROMPTS[:1], num_responses=2).comparisons[0].a.text == "one answer"


@pytest.mark.parametrize("count", [-7, True, 2.0, "7", None])
def test_what_is_no_count_of_tokens_is_not_counted(count):
    with fake.fake_endpoint(lambda body: said(f"{body['seed']}", num_tokens=count)) as server:
        assert sample(server, PROMPTS[:1]).rows[0]["meta"]["num_tokens"] == [None, None]


def test_trouble_that_passes_costs_nothing():
    troubles = iter([(503, "busy", {}), (429, "slow down", {}), (200, "{", {})])
    with fake.fake_endpoint(lambda body: next(troubles, None) or echo(body)) as server:
        assert len(sample(server).rows) == len(PROMPTS)


def test_a_prompt_that_is_refused_is_left_out_and_counted_and_asked_again_later(tmp_path):
    path = tmp_path / "samples.jsonl"

    def no_blue(body):
        return (400, '{"error": {"message": "too blue"}}', {}) if "blue" in str(body["messages"]) else echo(body)

    with fake.fake_endpoint(no_blue) as server:
        found = sample(server, output=path)
        assert (found.num_refused, len(found.rows)) == (1, 5)
        server.reply = echo
        assert [one.prompt[0].content for one in sample(server, output=path, resume=True).comparisons] == PROMPTS


def test_a_server_that_refuses_every_prompt_is_one_sentence():
    with (
        fake.fake_endpoint(lambda body: (400, '{"error": {"message": "no seeds here"}}', {})) as server,
        pytest.raises(ConfigError, match=r"refused the prompt .*no seeds here.*answered none of the 6 prompts"),
    ):
        sample(server)


def test_prompts_are_asked_at_once_as_many_as_are_wanted():
    together = threading.Barrier(6, timeout=20)

    def wait(body):
        together.wait()
        return echo(body)

    with fake.fake_endpoint(wait) as server:
        assert len(sample(server, num_responses=1, concurrency=6).rows) == 6


def test_the_key_comes_from_the_environment_and_stands_in_no_row(monkeypatch, tmp_path):
    monkeypatch.setenv("PENCHANT_ENDPOINT_KEY", KEY)
    with fake.fake_endpoint(echo) as server:
        sample(server, output=tmp_path / "s.jsonl")
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert KEY not in (tmp_path / "s.jsonl").read_text()


def test_a_key_that_is_missing_is_asked_for_by_its_name():
    with (
        fake.fake_endpoint(lambda body: (401, "", {})) as server,
        pytest.raises(ConfigError, match="PENCHANT_ENDPOINT_KEY"),
    ):
        sample(server)


@pytest.mark.parametrize(
    ("model", "how", "words"),
    [
        (None, {"endpoint": "http://localhost:1/v1"}, r"`endpoint_model=\.\.\.`"),
        (None, {"endpoint": "localhost", "endpoint_model": "m"}, r"`endpoint=\.\.\.`: 'localhost' is not an address"),
        ("large", {"endpoint": "http://localhost:1/v1", "endpoint_model": "m"}, "are both given"),
        ("large", {"endpoint_model": "m"}, "is only read with .endpoint="),
        ("large", {"concurrency": 3}, "is only read with .endpoint="),
        (None, {"endpoint": "http://localhost:1/v1", "endpoint_model": "m", "concurrency": 0}, "concurrency"),
        (None, {"endpoint": "http://localhost:1/v1", "endpoint_model": "m", "timeout": 0}, "timeout"),
        (None, {}, "model is None"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anybody_is_asked(model, how, words):
    with pytest.raises(ConfigError, match=words):
        pt.sample(model, PROMPTS, progress=False, **how)

"""Whatever comes over the wire is answered in OpenAI's form, and the next request is served."""

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from penchant.errors import ConfigError
from penchant.listening import listen
from penchant.serving import open_service

TOKEN = "a-token-of-more-than-32-characters-0123456789"
MESSAGES = [{"role": "user", "content": "Once upon a time"}]


def send(service, path, body=None, method=None, **headers):
    """The status and the JSON of what is answered."""
    connection = http.client.HTTPConnection(urlsplit(service.base).netloc, timeout=30)
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method or ("GET" if raw is None else "POST"), path, raw, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def ask(service):
    """Asks for a chat with these fields."""
    return lambda path="/v1/chat/completions", **fields: send(
        service, path, {"model": service.model, "messages": MESSAGES, "max_tokens": 2} | fields
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": "warm"}, "temperature: "),
        ({"temperature": -1}, "temperature must be 0 or from"),
        ({"temperature": float("nan")}, "temperature must be 0 or from"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"max_tokens": 0}, "max_tokens: "),
        ({"frequency_penalty": False}, "frequency_penalty: is not supported"),
        ({"max_tokens": True}, "max_tokens: "),
        ({"n": 0}, "n: "),
        ({"n": 17}, "n: 17 is more than the 16 answers"),
        ({"n": 10**30}, "n: "),
        ({"stop": ["a"] * 5}, "stop: has 5 texts; give up to 4"),
        ({"stop": 5}, "stop: is neither a text nor a list of texts; give up to 4 texts"),
        ({"messages": []}, "messages: "),
        ({"messages": "hello"}, "messages: "),
        ({"messages": [{"role": "robot", "content": "hello"}]}, "messages.0.role: "),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "dog " * 600}]}, "leave no room for an answer"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content: is missing or null; give a text"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: is missing or null; give a text"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: is neither a text nor a list of parts"),
        (
            {"messages": [*MESSAGES, {"role": "user", "content": "hello", "name": "Ann"}]},
            "leaves out the name in message 2, the user's; send what the model's chat template writes",
        ),
        ({"metadata": "me"}, "metadata: is not a JSON object"),
        ({"metadata": {"id": 5}}, "metadata.id: Input should be a valid string"),
        ({"stream_options": {"include_usage": True}}, "stream_options: has no effect without stream; set"),
        ({"max_completion_tokens": 2}, "max_tokens: is the same as max_completion_tokens; give one of them"),
        ({"top_logprobs": 2}, "top_logprobs: has no effect without logprobs"),
        ({"logit_bias": {"5": 100}}, "logit_bias: is not supported"),
        ({"tools": [{"type": "function"}]}, "tools: is not supported"),
        ({"colour": "red"}, "colour: is not known"),
        ({"model": None}, "model: "),
    ],
)
def test_what_is_wrong_with_a_field_is_said_by_its_name(ask, fields, words):
    status, body = ask(**fields)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert words in body["error"]["message"]
    assert set(body["error"]) == {"message", "type", "param", "code"}


def test_a_refusal_quotes_no_more_than_the_beginning_and_the_end_of_a_long_name(ask):
    status, body = ask(**{"x" * 100_000: 1})
    assert (status, body["error"]["code"]) == (400, "unknown_parameter")
    assert body["error"]["message"].endswith(": is not known; leave it out")
    assert len(json.dumps(body)) < 2_000


def test_fields_that_ask_for_nothing_are_taken(ask):
    status, body = ask(
        presence_penalty=0.0,
        logit_bias={},
        tools=None,
        user="me",
        response_format={"type": "text"},
        n=None,
        stop="",
        metadata={"purpose": "x"},
    )
    assert status == 200, body


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"model": 1e999}', b"null"])
def test_a_body_that_is_no_request_is_a_bad_request(service, raw):
    status, body = send(service, "/v1/chat/completions", raw)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": [1, 2, 3]}, "prompt: holds token ids, which are not read; give"),
        ({"prompt": [[1, 2], [3]]}, "prompt: holds token ids, which are not read; give"),
        ({"prompt": []}, "prompt: is empty; give a text, or several"),
        ({"prompt": ["a", None]}, "prompt: holds something other than text; give texts"),
        ({"prompt": 5}, "prompt: is neither a text nor a list of texts; give"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt: has 129 texts; give up to 128 at once"),
        ({"prompt": ["a", "b"], "metadata": {"id": "x"}}, "metadata.id: names one prompt, but there are 2; send"),
    ],
)
def test_texts_are_asked_for_as_texts(service, fields, words):
    status, body = send(service, "/v1/completions", {"model": service.model, "max_tokens": 1} | fields)
    assert (status, body["error"]["message"][: len(words)]) == (400, words)


def test_nothing_is_logged_of_a_request_that_is_too_long(ask, story_model, monkeypatch):
    logged = []
    monkeypatch.setattr("transformers.tokenization_utils_base.logger.warning", logged.append)
    monkeypatch.setattr(story_model.tokenizer, "model_max_length", 512)
    assert ask(messages=[{"role": "user", "content": "dog " * 600}])[0] == 400
    assert logged == []


def test_too_much_or_of_another_type_or_to_another_address_is_refused(service):
    assert send(service, "/v1/completions", b" " * 1_000_001)[0] == 413
    assert send(service, "/v1/completions", b"{}", Content_Type="text/plain")[0] == 415
    assert send(service, "/v1/completions")[0] == 405
    assert send(service, "/v2/anything")[0] == 404
    assert send(service, "/v1/models/gpt-9")[0] == 404
    assert send(service, "/v1/models", Host="elsewhere.example")[0] == 421


def test_a_client_that_goes_away_frees_its_place(service, batch):
    def waits():
        return batch.tickets or batch.writer.rows

    for stream in (True, False):
        body = json.dumps(
            {"model": service.model, "messages": MESSAGES, "max_tokens": 500, "n": 16, "stream": stream}
        ).encode()
        host, port = urlsplit(service.base).netloc.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            wait_until(waits)
        wait_until(lambda: not waits())
        assert not waits(), "its place is free"


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_a_model_that_fails_gives_up_what_is_under_way_and_goes_on(ask, batch, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(batch.writer, "step", lambda waiting: 1 / 0)
        status, body = ask()
    assert (status, body["error"]["type"]) == (500, "server_error")
    assert "division" not in body["error"]["message"]
    assert ask()[0] == 200


def test_more_than_may_wait_is_told_to_come_again(ask, monkeypatch):
    monkeypatch.setattr("penchant.serving.batch.MOST_WAITING", 0)
    assert ask()[0] == 429


def test_a_server_with_a_token_asks_everybody_for_it(serve, story_model):
    with serve(story_model, token=TOKEN) as service:
        assert send(service, "/v1/models")[0] == 401
        assert send(service, "/v1/models", Authorization="Bearer wrong")[0] == 401
        assert send(service, "/v1/models", Authorization=f"Bearer {TOKEN}")[0] == 200


def refuse_loading():
    raise AssertionError("a model was loaded in vain")


def test_what_cannot_be_served_is_a_sentence_before_a_model_is_loaded():
    for settings, words in (
        ({"host": "0.0.0.0"}, "other machines could use the server"),
        ({"token": "short"}, "32 to 200 letters, digits, - and _, and this one of 5 characters"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_length": 1}, "max_length"),
    ):
        with pytest.raises(ConfigError, match=words), open_service(refuse_loading, **{"port": 0} | settings):
            pass
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match="another program listens on this port"),
            open_service(refuse_loading, port=port),
        ):
            pass


def test_a_length_that_the_model_does_not_read_is_refused(story_model):
    with (
        pytest.raises(ConfigError, match="takes 512 tokens"),
        open_service(lambda: story_model, port=0, max_length=513),
    ):
        pass

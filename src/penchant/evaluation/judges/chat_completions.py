"""Send one request to an OpenAI-compatible endpoint, POST {base}/chat/completions, and retry transient failures.

Transient failures are an unreachable server, a status 429 or 5xx, and a response that is incomplete or is no chat
completion: a proxy may have written it.

The key goes into one header of one request and nowhere else: server messages are shown without it, and redirects, which
would carry it to another server, are not followed.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from penchant.errors import ConfigError

__all__ = ["JUDGE", "KEY_VARIABLE", "SAMPLED", "Endpoint", "Named", "Refused", "Reply", "Stopped"]

KEY_VARIABLE = "PENCHANT_JUDGE_KEY"
ATTEMPTS = 5
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; each later pause is twice as long, or as long as the server requests."""

LONGEST_PAUSE = 60.0
MAX_TOKENS = 2048
"""The answer is one word; the rest is for models that reason first."""

MAX_BYTES = 4_000_000
PASSING = {408, 409, 425, 429, *range(500, 600)}
"""HTTP codes of transient failures."""

OF_THE_QUESTION = {400, 413, 422}
"""HTTP codes that may concern only this request, such as one that is too long."""


class Refused(ConfigError):
    """The server refuses this request. why: such as "HTTP 400: too long"."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class Stopped(Exception):
    """The caller has stopped listening, so nothing more is sent."""


class Textless(ConfigError):
    """The model answered without text, for example with tool calls only; a retry would give the same."""


class _Unreadable(Exception):
    """A response with status 200 that is no complete chat completion."""


class _NoText(Exception):
    """A chat completion whose message holds no text; shown: the message, as JSON."""


@dataclass(frozen=True)
class Named:
    """The names, for messages, of the arguments for address and model and of the key's variable."""

    address: str
    model: str
    key: str


JUDGE = Named("judge", "judge_model", KEY_VARIABLE)
SAMPLED = Named("endpoint", "endpoint_model", "PENCHANT_ENDPOINT_KEY")


@dataclass(frozen=True)
class Reply:
    """finished: not cut off at the limit. num_tokens: None if not reported."""

    text: str
    finished: bool
    num_tokens: int | None


@dataclass(frozen=True)
class Endpoint:
    """The address, model and key of an endpoint.

    base: such as http://localhost:8000/v1. key: None if the server needs none. timeout: the most seconds of silence
    from the server. named: the names of these in messages.

    Raises:
        ConfigError: `base` is no http address, or contains a password; `key` is not valid in a header.
    """

    base: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    named: Named = JUDGE

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", _checked(self.base, self.named))
        object.__setattr__(self, "key", (self.key or "").strip() or None)
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise ConfigError(
                f"the environment variable {self.named.key} holds characters that no key has; set it again"
            )

    def complete(self, messages: Sequence[Mapping[str, str]], stop: threading.Event | None = None) -> str:
        """The model's reply at temperature 0; "" if it holds no text; otherwise like `ask`."""
        try:
            return self.ask(messages, {"temperature": 0, "max_tokens": MAX_TOKENS}, stop).text
        except Textless:
            return ""

    def ask(
        self, messages: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], stop: threading.Event | None = None
    ) -> Reply:
        """The model's reply, sampled with these API settings.

        stop: once it is set nothing more is sent, and this raises Stopped. Raises Refused if the server refuses this
        request, Textless if the reply holds no text, and another ConfigError if there is no reply.
        """
        stop = stop or threading.Event()
        body = {"model": self.model, "messages": list(messages), **settings}
        for attempt in range(ATTEMPTS):
            if stop.is_set():
                raise Stopped
            pause = FIRST_PAUSE * 2**attempt
            try:
                return _reply(self._post(json.dumps(body).encode()))
            except urllib.error.HTTPError as error:
                with error:
                    said = f"HTTP {error.code}{self._said(error)}"
                if error.code not in PASSING:
                    raise self._refused(error.code, said) from None
                given_up = self._unanswered(said)
                pause = _asked_pause(error.headers.get("Retry-After")) or pause
            except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
                said = str(getattr(error, "reason", "") or error) or type(error).__name__
                given_up = self._unanswered(self._without_key(said))
            except _NoText as error:
                raise self._textless(str(error)) from None
            except _Unreadable as error:
                given_up = self._incompatible(str(error))
            if attempt + 1 < ATTEMPTS:
                stop.wait(min(pause, LONGEST_PAUSE) * random.uniform(1, 1.25))
        raise given_up

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.base}/chat/completions", body, headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=self.timeout) as response:
            try:
                reply = bytes(response.read(MAX_BYTES))
            except http.client.IncompleteRead as error:
                raise _Unreadable("its answer broke off") from error
            if response.length:  # bytes are missing; read(amount) does not report it
                raise _Unreadable(
                    f"only {len(reply)} of the {len(reply) + response.length} bytes of its answer arrived"
                )
        return reply

    def _unanswered(self, trouble: str) -> ConfigError:
        return ConfigError(
            f"{self.base}: no answer after {ATTEMPTS} attempts ({trouble}); check that the server runs and can "
            "be reached, then continue: the answers so far are kept"
        )

    def _incompatible(self, trouble: str) -> ConfigError:
        return ConfigError(
            f"{self.base}: did not answer as an OpenAI-compatible endpoint does, in {ATTEMPTS} attempts "
            f"({self._in_short(trouble)}); check the address, which often ends in /v1"
        )

    def _textless(self, message: str) -> Textless:
        return Textless(
            f"{self.base}: the model {self.model!r} answered without a text ({self._in_short(message)}); choose a "
            "model that answers in words, or allow more tokens, then continue: the answers so far are kept"
        )

    def _refused(self, code: int, said: str) -> ConfigError:
        if code in OF_THE_QUESTION:
            return Refused(
                f"{self.base}: the server refused the request ({said}); check which model and settings it accepts", said
            )
        if code in (401, 403) and self.key:
            why, then = f"the server refused the key in {self.named.key}", "set the right one"
        elif code in (401, 403):
            why, then = "the server asks for a key", f"put it into the environment variable {self.named.key}"
        elif 300 <= code < 400:
            why, then = "the server redirects to another address, which is not followed", "give the new address"
        elif code == 404:
            why = f"nothing is at /chat/completions, or there is no model {self.model!r}"
            then = f"check `{self.named.model}=...`, and whether the address must end in /v1"
        else:
            why, then = "the server refused the request", "check which model and settings it accepts"
        return ConfigError(f"{self.base}: {why} ({said}); {then}")

    def _said(self, error: urllib.error.HTTPError) -> str:
        """The server's reason, shortened."""
        try:
            text = error.read(MAX_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        try:
            reason = json.loads(text)["error"]
            text = str(reason["message"] if isinstance(reason, dict) else reason)
        except (ValueError, KeyError, TypeError):
            pass
        return f": {self._in_short(text)}" if text.strip() else ""

    def _in_short(self, text: str) -> str:
        text = " ".join(self._without_key(text).split())[:200]
        return text.encode("utf-8", "replace").decode()  # JSON can spell a lone surrogate, which no file accepts

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _checked(base: str, named: Named) -> str:
    try:
        parts = urlsplit(base)
        is_address = parts.scheme in ("http", "https") and parts.port != 0 and bool(parts.hostname)
        (parts.hostname or "").encode("idna")  # the name to resolve; an empty label raises
    except ValueError:
        is_address = False
    if not is_address or not (base.isascii() and base.isprintable()) or " " in base:
        raise ConfigError(f"`{named.address}=...`: {base!r} is not an address; write one like http://localhost:8000/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"`{named.address}=...`: the address at {parts.hostname} holds more than host and path; leave out user, "
            f"query and fragment, and put a key into the environment variable {named.key}"
        )
    return base.rstrip("/").removesuffix("/chat/completions")


def _reply(body: bytes) -> Reply:
    try:
        whole = json.loads(body)
        choice = whole["choices"][0]
        message, reason = dict(choice["message"]), choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Unreadable(f"it answered: {body.decode('utf-8', 'replace')}") from None
    usage = whole.get("usage")
    num_tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    is_count = type(num_tokens) is int and num_tokens >= 0  # True is an int as well
    return Reply(_text(message), reason in ("stop", None), num_tokens if is_count else None)


def _text(message: Mapping[str, Any]) -> str:
    """The text of a message, from a string or from text parts. Raises _NoText."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise _NoText(json.dumps(message))
    return "".join(map(str, texts))


def _asked_pause(header: str | None) -> float:
    """The seconds in a Retry-After header, given as a number or a date; 0 if there is none."""
    try:
        seconds = float(header or 0)
    except ValueError:
        seconds = _seconds_until(header or "")
    return max(seconds, 0.0) if not math.isnan(seconds) else 0.0


def _seconds_until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0

"""The content of a request: fields that are read, ignored, and refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from penchant.data import Message, prompt_id
from penchant.errors import ConfigError
from penchant.models.sampler import SamplingParams
from penchant.serving.fields import MOST_ANSWERS, Chat, Completion, Sampling
from penchant.serving.refusal import Refusal

__all__ = ["Asked", "read_chat", "read_completion"]

SHORT = 16
"""The default token limit of a completion, as in OpenAI's API."""

CHANGES_NOTHING = frozenset(
    ("user", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls")
)
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
}
"""Unsupported fields, with the values that have no effect; null is always one."""


@dataclass(frozen=True)
class Asked:
    """`num` answers to each prompt. keys: identify the prompts for seeding. is_raw: text to continue.

    stop: texts before which an answer ends. num_likeliest: None without log-probabilities. is_live: the
    answers are streamed, with the count of tokens at the end if counts is true.
    """

    prompts: tuple[tuple[Message, ...], ...]
    keys: tuple[str, ...]
    is_raw: bool
    params: SamplingParams
    num: int
    stop: tuple[str, ...] = ()
    num_likeliest: int | None = None
    is_live: bool = False
    counts: bool = False


T = TypeVar("T", bound=Sampling)


def read_chat(body: bytes, model: str, *, longest: int, any_seed: int) -> Asked:
    """Read a chat request.

    model: the served model. longest: the most tokens of an answer. any_seed: the default seed.
    Raises Refusal.
    """
    chat = _read(Chat, body, model)
    if chat.top_logprobs is not None and not chat.logprobs:
        raise Refusal(400, "top_logprobs: has no effect without logprobs; set logprobs to true", param="top_logprobs")
    if chat.max_tokens is not None and chat.max_completion_tokens is not None:
        raise Refusal(400, "max_tokens: is the same as max_completion_tokens; give one of them", param="max_tokens")
    num_likeliest = (chat.top_logprobs or 0) if chat.logprobs else None
    most = chat.max_completion_tokens or chat.max_tokens or longest
    return _asked(chat, [_messages(chat)], min(most, longest), num_likeliest, any_seed, is_raw=False)


def read_completion(body: bytes, model: str, *, longest: int, any_seed: int) -> Asked:
    """Read a completion request; otherwise like `read_chat`."""
    asked = _read(Completion, body, model)
    prompts = [(_message("prompt", {"role": "user", "content": text}),) for text in asked.prompt]
    most = min(asked.max_tokens or SHORT, longest)
    return _asked(asked, prompts, most, asked.logprobs, any_seed, is_raw=True)


def _read(kind: type[T], body: bytes, model: str) -> T:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body of the request is not JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body of the request is not a JSON object")
    for name in CHANGES_NOTHING & given.keys():
        del given[name]
    for name in [name for name in given if name in NEUTRAL]:
        value = given.pop(name)
        if value is not None and not any(_is_same(value, neutral) for neutral in NEUTRAL[name]):
            raise Refusal(400, f"{name}: is not supported; leave it out", param=name, code="unsupported_parameter")
    try:
        read = kind.model_validate(given)
    except ValidationError as error:
        raise _refused(error) from None
    if read.model != model:
        message = f"model: this server has only {model!r}, not {read.model[:200]!r}; ask for that"
        raise Refusal(404, message, param="model", code="model_not_found")
    if read.stream_options is not None and not read.stream:
        raise Refusal(400, "stream_options: has no effect without stream; set stream to true", param="stream_options")
    return read


def _is_same(value: object, neutral: object) -> bool:
    """Whether values are equal, treating true and false as different from 1 and 0."""
    return value == neutral and isinstance(value, bool) == isinstance(neutral, bool)


def _refused(error: ValidationError) -> Refusal:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    param = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        return Refusal(400, f"{where}: is not known; leave it out", param=param, code="unknown_parameter")
    why = "is not a JSON object" if first["type"] == "model_type" else first["msg"].removeprefix("Value error, ")
    return Refusal(400, f"{where}: {why}", param=param)


def _messages(chat: Chat) -> tuple[Message, ...]:
    for place, said in enumerate(chat.messages):
        if said.content is None and not said.tool_calls:
            raise Refusal(400, f"messages.{place}.content: is missing or null; give a text", param="messages")
    return tuple(
        _message(
            f"messages.{place}",
            said.model_dump(exclude_none=True) | {"content": "".join(part.text for part in said.content or ())},
        )
        for place, said in enumerate(chat.messages)
    )


def _message(where: str, fields: Mapping[str, Any]) -> Message:
    try:
        return Message(**fields)
    except ValidationError as error:
        raise Refusal(400, f"{where}.{_refused(error)}", param=where.partition(".")[0]) from None


def _asked(
    read: Sampling,
    prompts: Sequence[tuple[Message, ...]],
    max_new_tokens: int,
    num_likeliest: int | None,
    any_seed: int,
    *,
    is_raw: bool,
) -> Asked:
    temperature, top_p = (1.0 if value is None else value for value in (read.temperature, read.top_p))
    seed = any_seed if read.seed is None else read.seed
    try:
        params = SamplingParams(temperature, top_p, read.top_k or 0, max_new_tokens, seed)
    except ConfigError as error:
        raise Refusal(400, str(error)) from None
    id = None if read.metadata is None else read.metadata.id
    if id is not None and len(prompts) > 1:
        raise Refusal(
            400, f"metadata.id: names one prompt, but there are {len(prompts)}; send them one by one", param="metadata"
        )
    num = read.n or 1
    if len(prompts) * num > MOST_ANSWERS:
        raise Refusal(
            400, f"n: {len(prompts)} prompts x {num} answers are more than {MOST_ANSWERS} at once; lower n", param="n"
        )
    return Asked(
        prompts=tuple(prompts),
        keys=tuple(map(prompt_id, prompts)) if id is None else (id,),
        is_raw=is_raw,
        params=params,
        num=num,
        stop=tuple(filter(None, read.stop or ())),
        num_likeliest=num_likeliest,
        is_live=bool(read.stream),
        counts=bool(read.stream_options and read.stream_options.include_usage),
    )

"""What a request asks for: the fields of OpenAI's API that are read, those that change nothing, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penchant.data import Message, prompt_id
from penchant.errors import ConfigError
from penchant.models.sampler import SamplingParams
from penchant.serving.refusal import Refusal

__all__ = ["Asked", "read_chat", "read_completion"]

MOST_ANSWERS = 128
MOST_STOPS = 4
SHORT = 16
"""Tokens of a completion that does not say how long it may get, as with OpenAI."""

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
"""Fields that ask for what is not offered, and the values with which they ask for nothing; null is one for all."""


@dataclass(frozen=True)
class Asked:
    """`num` answers to each prompt. keys: what each prompt is, for seeding. is_raw: text that goes on, no conversation.

    stop: texts before which an answer ends. num_likeliest: None where no log-probabilities are wanted. is_live: the
    answers are sent as they are written, with the count of tokens at the end where counts is true.
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


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _StreamOptions(_Read):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Sampling(_Read):
    """What conversations and texts have in common; None is as if it were left out."""

    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=MOST_STOPS)] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


class _Part(_Read):
    type: Annotated[str, Field(pattern="^text$")]
    text: str


class _Said(_Read):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    refusal: None = None


class _Chat(_Sampling):
    messages: Annotated[list[_Said], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class _Completion(_Sampling):
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MOST_ANSWERS)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


T = TypeVar("T", bound=_Sampling)


def read_chat(body: bytes, model: str, *, longest: int, any_seed: int) -> Asked:
    """A conversation to be gone on with.

    model: the one that is served. longest: the most tokens an answer may get. any_seed: where the request has none.
    Raises Refusal.
    """
    chat, id = _read(_Chat, body, model)
    if chat.top_logprobs is not None and not chat.logprobs:
        raise Refusal(400, "top_logprobs: is only read with logprobs; set that to true", param="top_logprobs")
    num_likeliest = (chat.top_logprobs or 0) if chat.logprobs else None
    most = chat.max_completion_tokens or chat.max_tokens or longest
    return _asked(chat, [_messages(chat)], id, min(most, longest), num_likeliest, any_seed, is_raw=False)


def read_completion(body: bytes, model: str, *, longest: int, any_seed: int) -> Asked:
    """Texts to be gone on with; else as `read_chat`."""
    asked, id = _read(_Completion, body, model)
    texts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    prompts = [(Message(role="user", content=text),) for text in texts]
    most = min(asked.max_tokens or SHORT, longest)
    return _asked(asked, prompts, id, most, asked.logprobs, any_seed, is_raw=True)


def _read(kind: type[T], body: bytes, model: str) -> tuple[T, str | None]:
    """The fields, and the id that the request gives its prompt."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body of the request is no JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body of the request is no JSON object")
    metadata = given.pop("metadata", None)
    id = metadata.get("id") if isinstance(metadata, dict) else None
    for name in CHANGES_NOTHING & given.keys():
        del given[name]
    for name in NEUTRAL.keys() & given.keys():
        value = given.pop(name)
        if value is not None and value not in NEUTRAL[name]:
            raise Refusal(400, f"{name}: is not offered here; leave it out", param=name, code="unsupported_parameter")
    try:
        read = kind.model_validate(given)
    except ValidationError as error:
        raise _refused(error) from None
    if read.model != model:
        message = f"model: there is no {read.model[:200]!r} here, only {model!r}"
        raise Refusal(404, message, param="model", code="model_not_found")
    return read, id if isinstance(id, str) else None


def _refused(error: ValidationError) -> Refusal:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    param = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        return Refusal(400, f"{where}: is not known; leave it out", param=param, code="unknown_parameter")
    return Refusal(400, f"{where}: {first['msg']}", param=param)


def _messages(chat: _Chat) -> tuple[Message, ...]:
    messages = []
    for place, said in enumerate(chat.messages):
        parts = said.content if isinstance(said.content, list) else [_Part(type="text", text=said.content or "")]
        fields = said.model_dump(exclude_none=True) | {"content": "".join(part.text for part in parts)}
        try:
            messages.append(Message(**fields))
        except ValidationError as error:
            raise Refusal(400, f"messages.{place}.{_refused(error)}", param="messages") from None
    return tuple(messages)


def _asked(
    read: _Sampling,
    prompts: Sequence[tuple[Message, ...]],
    id: str | None,
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
    stops = [read.stop] if isinstance(read.stop, str) else read.stop or []
    num = read.n or 1
    if len(prompts) * num > MOST_ANSWERS:
        raise Refusal(400, f"n: {len(prompts)} x {num} answers are too many at once; {MOST_ANSWERS} may be", param="n")
    return Asked(
        prompts=tuple(prompts),
        keys=(id,) if id is not None and len(prompts) == 1 else tuple(map(prompt_id, prompts)),
        is_raw=is_raw,
        params=params,
        num=num,
        stop=tuple(filter(None, stops)),
        num_likeliest=num_likeliest,
        is_live=bool(read.stream),
        counts=bool(read.stream_options and read.stream_options.include_usage),
    )

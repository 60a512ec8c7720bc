"""The supported fields of OpenAI's API, each validated; a text or a list of texts becomes a list."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = ["MOST_ANSWERS", "Chat", "Completion", "Sampling"]

MOST_ANSWERS = 128
MOST_STOPS = 4


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _StreamOptions(_Read):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Metadata(_Read):
    model_config = ConfigDict(extra="allow")

    id: str | None = None


def _wrong(why: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{why}", {"why": why})


def _stops(given: Any) -> Any:
    """One text, or several, as a list."""
    texts = [given] if isinstance(given, str) else given
    if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise _wrong(f"is neither a text nor a list of texts; give up to {MOST_STOPS} texts")
    if texts and len(texts) > MOST_STOPS:
        raise _wrong(f"has {len(texts)} texts; give up to {MOST_STOPS}")
    return texts


def _prompts(given: Any) -> Any:
    """The texts to continue, as a list."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list):
        raise _wrong("is neither a text nor a list of texts; give one of them")
    if not texts:
        raise _wrong("is empty; give a text, or several")
    if any(isinstance(text, int | list) for text in texts):
        raise _wrong("holds token ids, which are not read; give texts")
    if not all(isinstance(text, str) for text in texts):
        raise _wrong("holds something other than text; give texts")
    if len(texts) > MOST_ANSWERS:
        raise _wrong(f"has {len(texts)} texts; give up to {MOST_ANSWERS} at once")
    return texts


def _parts(given: Any) -> Any:
    """The content of a message, as a list of parts."""
    if given is not None and not isinstance(given, str | list):
        raise _wrong("is neither a text nor a list of parts of text; give one of them")
    return [{"type": "text", "text": given}] if isinstance(given, str) else given


class Sampling(_Read):
    """The fields shared by chat and completion requests; None means omitted."""

    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] | None = None
    seed: int | None = None
    stop: Annotated[list[str] | None, BeforeValidator(_stops)] = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    metadata: _Metadata | None = None


class _Part(_Read):
    type: Literal["text"]
    text: str


class _Said(_Read):
    role: str
    content: Annotated[list[_Part] | None, BeforeValidator(_parts)] = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    refusal: None = None


class Chat(Sampling):
    messages: Annotated[list[_Said], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class Completion(Sampling):
    prompt: Annotated[list[str], BeforeValidator(_prompts)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

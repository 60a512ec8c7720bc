"""The records that all packages share: messages, candidates, comparisons, pairs, demonstrations, prompts.

All are frozen: a change makes a new record. `Comparison` holds a person's answer; `PreferencePair` is what training
reads; `data/derived.py` turns the first into the second.
"""

import hashlib
import json
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_serializer
from pydantic_core import PydanticCustomError

from penchant.wording import one_line

__all__ = [
    "SCORES",
    "Candidate",
    "Comparison",
    "Demonstration",
    "Document",
    "Labelled",
    "Message",
    "Origin",
    "Outcome",
    "PreferencePair",
    "Prompt",
    "Response",
    "Role",
    "RowOrigin",
    "Source",
    "prompt_id",
    "prompt_identity",
    "prompt_key",
    "response_key",
    "shown",
]

Role = Literal["system", "developer", "user", "assistant", "tool"]
Outcome = Literal["a", "b", "tie", "both_bad"]


def _encodable(text: str) -> str:
    # JSON can spell half a surrogate pair ("\\ud800"), which no tokenizer, file or hash accepts
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "half of a surrogate pair is not a character") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]


def _json_list(value: object) -> object:
    """A list of objects as JSON text, so that a record that holds one is frozen and can be compared."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
        if isinstance(parsed, list) and parsed and all(isinstance(item, dict) for item in parsed):
            return json.dumps(parsed, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        pass
    raise PydanticCustomError("json_list", "must be a list of JSON objects")


JsonList = Annotated[Text, BeforeValidator(_json_list)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Record):
    """Where a record was read; prints as `file:line`.

    `line` counts from 1: the line of a .jsonl, .csv or .txt file where the row begins, the row of a .json array or
    a .parquet file.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return one_line(f"{self.file}:{self.line}")


class RowOrigin(Origin):
    """Where a record is in data given in memory; prints as a Python expression, `data[2]`.

    `file` names the container of the rows; `line` counts from 1 as for a file.
    """

    def __str__(self) -> str:
        return one_line(f"{self.file}[{self.line - 1}]")


class Message(_Record):
    """One turn of a conversation, with all that a chat template may render besides its text.

    reasoning: the assistant's reasoning before its content. tool_calls: its function calls in OpenAI's form,
    [{"type": "function", "function": {"name": ..., "arguments": {...}}}]. tools: JSON schemas of the functions that may
    be called; stored on the first message for the whole conversation. name, tool_call_id: the call that a tool's
    message answers. weight: factor on the loss of an assistant's turn in next-token training; 0 means context only.
    The two lists are kept as JSON text and written as lists. Absent fields are not written.
    """

    role: Role
    content: Text
    reasoning: Text | None = None
    tool_calls: JsonList | None = None
    tools: JsonList | None = None
    name: Text | None = None
    tool_call_id: Text | None = None
    weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)

    @model_serializer
    def _only_what_is_there(self) -> dict[str, Any]:
        row = _said(self)
        return row if self.weight == 1 else row | {"weight": self.weight}


class Source(_Record):
    """The model that wrote a candidate and how it was sampled; None if unknown."""

    model: str
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    seed: int | None = None


class Candidate(_Record):
    """One of the two responses; `source` is None for a text written by a person."""

    text: Text
    source: Source | None = None


class Comparison(_Record):
    """Two candidates for one prompt and, once answered, which is better.

    `outcome` is None until answered. A "tie" says that both are equally good; "both_bad" says that neither should be
    learned from. `strength` counts from 1 (slightly better) upwards. `shown_first` is the candidate that was shown
    first, recorded so that position bias can be measured.
    """

    id: Text
    prompt: tuple[Message, ...]
    a: Candidate
    b: Candidate
    outcome: Outcome | None = None
    strength: int | None = Field(default=None, ge=1)
    annotator: Text | None = None
    shown_first: Literal["a", "b"] | None = None
    created_at: datetime | None = None
    meta: dict[str, JsonValue] = Field(default_factory=dict)


SCORES = ("score_a", "score_b")
"""Key in the meta of a comparison: the scores of its sides, higher is better."""

Response = Text | Message
"""An answer to a prompt: its text, or the assistant's message if it holds more, such as reasoning or a tool call."""


class PreferencePair(_Record):
    """A training pair: for `prompt`, `chosen` is preferred to `rejected`.

    weight: factor on the pair's loss, at least 0. probability: soft label p(chosen > rejected), in [0, 1].
    margin: how much better chosen is, in units of the reward, for losses with a margin. gap: the difference of the
    scores of chosen and rejected, in the data's own units; no loss reads it; None unless both have a score.
    name: the benchmark's name of the list it belongs to, as "PART/ID".
    """

    prompt: tuple[Message, ...]
    chosen: Response
    rejected: Response
    weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    margin: float = Field(default=0.0, allow_inf_nan=False)
    gap: float | None = Field(default=None, allow_inf_nan=False)
    name: Text | None = None
    origin: Origin | None = None

    def swap(self) -> "PreferencePair":
        """The opposite preference: chosen and rejected trade places and the gap changes its sign."""
        gap = None if self.gap is None else -self.gap
        return self.model_copy(update={"chosen": self.rejected, "rejected": self.chosen, "gap": gap})


class Labelled(_Record):
    """One response labelled good or bad on its own, like a thumbs up or down.

    weight: factor on its loss, at least 0.
    """

    prompt: tuple[Message, ...]
    response: Response
    desirable: bool
    weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    origin: Origin | None = None


class Demonstration(_Record):
    """A conversation for next-token training; its last message is the assistant's."""

    messages: tuple[Message, ...]
    origin: Origin | None = None


class Document(_Record):
    """Plain text for next-token training, without a conversation around it. weight: factor on its loss."""

    text: Text
    weight: float = Field(default=1.0, ge=0.0, allow_inf_nan=False)
    origin: Origin | None = None


class Prompt(_Record):
    """A conversation without a final answer, for sampling."""

    messages: tuple[Message, ...]
    id: Text
    origin: Origin | None = None


def prompt_key(messages: Sequence[Message]) -> str:
    """The identity of a prompt: canonical JSON of its messages, as `[{"content": ..., "role": ...}, ...]`.

    Keys sorted, no spaces, everything outside ASCII escaped; a message's weight is not part of what it says. Two
    prompts are the same prompt if and only if their keys are equal: no stripping, no lower-casing.
    """
    return json.dumps([_said(m) for m in messages], ensure_ascii=True, separators=(",", ":"), sort_keys=True)


def prompt_id(messages: Sequence[Message]) -> str:
    """What a prompt is called that has no id of its own: the first 16 hex digits of the sha256 of `prompt_key`."""
    return hashlib.sha256(prompt_key(messages).encode()).hexdigest()[:16]


def prompt_identity(messages: Sequence[Message]) -> Hashable:
    """What is equal for two prompts if and only if their keys are, and is had at once for messages of texts alone."""
    said: list[str | None] = []
    for message in messages:
        if message.tool_calls is not None or message.tools is not None:
            return prompt_key(messages)
        said += (message.role, message.content, message.reasoning, message.name, message.tool_call_id)
    return tuple(said)


def response_key(response: Response) -> str:
    """The identity of a response: its stripped text, with all other fields of its message."""
    if isinstance(response, str):
        return response.strip()
    message = response.model_copy(update={"content": response.content.strip()})
    return message.content if message == Message(role="assistant", content=message.content) else prompt_key([message])


def shown(message: Message) -> str:
    """A message as a person or a judge reads it: its text, then its tool calls and tools, one per line."""
    calls = json.loads(message.tool_calls or "[]")
    tools = [tool.get("function", tool).get("name") for tool in json.loads(message.tools or "[]")]
    parts = [
        message.reasoning or "",
        message.content,
        "\n".join(f"→ {_call(call.get('function', call))}" for call in calls),
        f"tools: {', '.join(map(str, tools))}" if tools else "",
    ]
    return "\n\n".join(part for part in parts if part.strip()) or message.content


def _call(function: dict[str, Any]) -> str:
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return f"{function.get('name')}({written})"


def _said(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {"role": message.role, "content": message.content}
    for name in ("reasoning", "tool_calls", "tools", "name", "tool_call_id"):
        if (value := getattr(message, name)) is not None:
            row[name] = json.loads(value) if name in ("tool_calls", "tools") else value
    return row

"""What an importer is, and the few readers of fields that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from penchant.data.files import Row
from penchant.data.records import Message, Role
from penchant.data.verdicts import BadRow

__all__ = ["Importer", "messages_field", "prompt_field", "read_messages", "response_field", "text_field"]

Record_co = TypeVar("Record_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Importer(Generic[Record_co]):
    """One format: how to know it and how to read it.

    name: as it is reported. description: the shape, in words, for error messages. example: a row of the format.
    matches: whether a row looks like this format; it never raises. convert: the row as a record; raises BadRow.
    """

    name: str
    description: str
    example: Row
    matches: Callable[[Row], bool]
    convert: Callable[[Row], Record_co]


ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "tool": "tool",
    "observation": "tool",
}


def field(row: Row, name: str) -> Any:
    """The value of a field; an absent field and a null are the same: missing."""
    value = row.get(name)
    if value is None:
        raise BadRow("missing_field", f"the field '{name}' is missing", f"add '{name}' to the row")
    return value


def text_field(row: Row, name: str) -> str:
    """A field that must be text."""
    value = field(row, name)
    if not isinstance(value, str):
        raise BadRow("bad_type", f"'{name}' must be text, got {_kind(value)}", f"write '{name}' as a string")
    return value


def messages_field(row: Row, name: str) -> tuple[Message, ...]:
    """A field that must be a list of messages, not empty."""
    return read_messages(field(row, name), name)


def prompt_field(row: Row, name: str) -> tuple[Message, ...]:
    """A prompt: a text, which becomes one user message, or a list of messages."""
    value = field(row, name)
    return (Message(role="user", content=value),) if isinstance(value, str) else read_messages(value, name)


def response_field(row: Row, name: str, prompt: tuple[Message, ...]) -> str:
    """A response to `prompt`: a text, one assistant message, or a list that ends with it.

    A list holds the assistant message alone, or repeats the whole prompt before it.
    """
    value = field(row, name)
    if isinstance(value, str):
        return value
    messages = read_messages([value] if isinstance(value, dict) else value, name)
    if len(messages) > 1 and messages[:-1] != prompt:
        raise BadRow(
            "prompts_differ",
            f"the messages of '{name}' before its last one are not the prompt",
            "give only the assistant's message, or repeat the prompt exactly",
        )
    return last_response(messages, name)


def last_response(messages: tuple[Message, ...], name: str) -> str:
    """The text of the last message, which must be the assistant's."""
    last = messages[-1]
    if last.role != "assistant":
        raise BadRow(
            "bad_type", f"the last message of '{name}' is the {last.role}'s", "end it with the assistant's response"
        )
    return last.content


def read_messages(value: object, name: str) -> tuple[Message, ...]:
    """Messages from [{"role", "content"}, ...] or the ShareGPT form [{"from", "value"}, ...]."""
    if not isinstance(value, list):
        raise BadRow(
            "bad_type",
            f"'{name}' must be a list of messages, got {_kind(value)}",
            'write [{"role": ..., "content": ...}]',
        )
    if not value:
        raise BadRow("missing_field", f"'{name}' holds no messages", "add at least one message")
    return tuple(_read_message(message, f"{name}[{index}]") for index, message in enumerate(value))


def _read_message(value: object, name: str) -> Message:
    if not isinstance(value, dict):
        raise BadRow(
            "bad_type", f"'{name}' must be a message, got {_kind(value)}", 'write {"role": ..., "content": ...}'
        )
    if value.get("tool_calls"):
        raise BadRow("bad_type", f"'{name}' holds tool calls, which are not read", "write them as text in its content")
    share_gpt = value.get("from") is not None  # parquet fills the fields a message lacks with nulls
    role = text_field(value, "from" if share_gpt else "role")
    content = text_field(value, "value" if share_gpt else "content")
    if role not in ROLES:
        raise BadRow("bad_type", f"'{name}' has the unknown role '{role}'", f"use one of {', '.join(ROLES)}")
    return Message(role=ROLES[role], content=content)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", int: "a number", float: "a number", str: "text"}
    return names.get(type(value), type(value).__name__)

"""Define an importer, and the field readers that all importers share."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from penchant.data.derived import gap_between
from penchant.data.files import Row
from penchant.data.importers.calls import read_tools
from penchant.data.importers.messages import read_messages, weight_of
from penchant.data.importers.transcript import turns_before_answer
from penchant.data.importers.values import kind_of, says_nothing
from penchant.data.quickly import text_message
from penchant.data.records import Message, Response
from penchant.data.verdicts import BadRow

__all__ = [
    "BESIDE",
    "NUMBERS",
    "Importer",
    "OneOrMore",
    "as_tuple",
    "beyond",
    "conversation_field",
    "converting",
    "field",
    "filled",
    "last_response",
    "numbers",
    "only_text",
    "opened",
    "prompt_field",
    "require_question",
    "response_field",
    "text_field",
]

Record_co = TypeVar("Record_co", covariant=True)
New = TypeVar("New")

BESIDE = frozenset(("system", "tools", "functions"))
"""Fields that every conversation format reads besides the conversation, see `opened`."""
NUMBERS = frozenset(("weight", "probability", "margin", "gap"))
"""Fields that every format of chosen and rejected responses reads besides them."""


@dataclass(frozen=True, slots=True)
class Importer(Generic[Record_co]):
    """One format: how to recognise and read it.

    name: as reported. description: the shape, in words, for error messages. example: a row of the format. needs: the
    required fields, empty if they have several names. matches: whether a row looks like this format; it never raises.
    convert: the row as a record, or as a tuple of several (empty if unanswered); raises BadRow. reads: every field that
    convert reads. harmless: fields that change nothing in this format; `data/fields.py` knows those that are harmless
    everywhere. annotator_in: fields that only name the voter; the first filled one counts. inside: for each object
    within the fields that are read, its unknown entries and their place, as ("answers[].", {"field": value}).
    needs_one_of: groups of synonymous names; a row has one of each group.
    """

    name: str
    description: str
    example: Row
    needs: tuple[str, ...]
    matches: Callable[[Row], bool]
    convert: Callable[[Row], Record_co]
    reads: frozenset[str]
    harmless: frozenset[str] = frozenset()
    annotator_in: tuple[str, ...] = ()
    inside: Callable[[Row], Iterable[tuple[str, Row]]] | None = None
    needs_one_of: tuple[frozenset[str], ...] = ()


OneOrMore: TypeAlias = Importer[Record_co] | Importer[tuple[Record_co, ...]]
"""An importer that makes one record or several of a row."""


def as_tuple(found: New | tuple[New, ...]) -> tuple[New, ...]:
    """One record or several, as a tuple."""
    return found if isinstance(found, tuple) else (found,)


def converting(one: Importer[Any], convert: Callable[[Row], New]) -> Importer[New]:
    """A copy of an importer with another `convert`."""
    return Importer(
        name=one.name,
        description=one.description,
        example=one.example,
        needs=one.needs,
        matches=one.matches,
        convert=convert,
        reads=one.reads,
        harmless=one.harmless,
        inside=one.inside,
        needs_one_of=one.needs_one_of,
    )


def beyond(held: Row, known: Container[str]) -> Row:
    """The entries of an object whose names are not known."""
    return {name: value for name, value in held.items() if name not in known}


def filled(row: Row, *names: str) -> bool:
    """Whether the row has all of these fields; null counts as absent."""
    for name in names:  # noqa: SIM110  every row of every file passes here several times, and all(...) is slower
        if row.get(name) is None:
            return False
    return True


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
        raise BadRow("bad_type", f"'{name}' must be text, got {kind_of(value)}", f"write '{name}' as a string")
    return value


def prompt_field(row: Row, name: str, *, trained: bool = False) -> tuple[Message, ...]:
    """A prompt: a text (one user message, or a transcript of Anthropic's form) or a list of messages.

    The row's system message and tools are included, see `opened`.

    trained: whether its answers are trained on too, so that their weights matter; see `read_messages`.
    """
    value = field(row, name)
    if isinstance(value, str):
        return opened(row, turns_before_answer(value) or (text_message("user", value),))
    return opened(row, read_messages(value, name, trained=trained))


def conversation_field(row: Row, name: str, *, trained: bool = False) -> tuple[Message, ...]:
    """A non-empty list of messages, with the row's system message and tools; for `trained` see `read_messages`."""
    return opened(row, read_messages(field(row, name), name, trained=trained))


def opened(row: Row, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The conversation, with the row's `system` first and its `tools` (or `functions`) on the first message."""
    if not BESIDE.isdisjoint(row):
        if not says_nothing(row.get("system")):
            messages = _after_system(text_field(row, "system"), messages)
        for name in ("tools", "functions"):
            if not says_nothing(row.get(name)) and (tools := read_tools(row[name], name)):
                messages = _with_tools(tools, name, messages)
    if len(messages) > 1 and any(message.tools for message in messages[1:]):
        raise BadRow("bad_type", "a message after the first holds tools", "write them beside the messages, as 'tools'")
    return messages


def _after_system(system: str, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    told = [message.content.strip() for message in messages if message.role in ("system", "developer")]
    if not system.strip() or told[:1] == [system.strip()]:
        return messages
    if told:
        reason = "the row's 'system' is not the system message that its messages begin with"
        raise BadRow("bad_type", reason, "keep one of them")
    tools = {"tools": messages[0].tools} if messages[0].tools else {}
    rest = (messages[0].model_copy(update={"tools": None}), *messages[1:]) if tools else messages
    return (Message(role="system", content=system, **tools), *rest)


def _with_tools(tools: list[dict[str, Any]], name: str, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    said = Message(role="user", content="", tools=tools).tools
    if messages[0].tools not in (None, said):
        raise BadRow("bad_type", f"'{name}' names other tools than the conversation does", "keep one of them")
    return (messages[0].model_copy(update={"tools": said}), *messages[1:])


def numbers(row: Row) -> dict[str, Any]:
    """The weight, soft label, margin and gap of a pair, as far as the row has them."""
    if NUMBERS.isdisjoint(row):
        return {}
    found = {name: row[name] for name in NUMBERS & row.keys() if not says_nothing(row[name])}
    if truths := [name for name, value in found.items() if isinstance(value, bool)]:
        raise BadRow("bad_type", f"'{truths[0]}' is {found[truths[0]]}, which is not a number", "write the number")
    if "gap" in found:  # no loss reads the gap, so a bad one excludes no row
        found["gap"] = gap_between(found["gap"], 0)
    return found


def response_field(row: Row, name: str, prompt: tuple[Message, ...]) -> Response:
    """A response to `prompt`: a text, one assistant message, or a list that ends with it.

    A list holds only the assistant message, or repeats the prompt first, with or without the row's additions.
    """
    value = field(row, name)
    if isinstance(value, str):
        return value
    raw = [value] if isinstance(value, dict) else value
    messages = read_messages(raw, name)
    if len(messages) > 1 and prompt not in (messages[:-1], opened(row, messages[:-1])):
        raise BadRow(
            "prompts_differ",
            f"the messages of '{name}' before its last one differ from the prompt",
            "give only the assistant's message, or repeat the prompt exactly",
        )
    return last_response(messages, raw, name)


def last_response(messages: tuple[Message, ...], raw: list[Any], name: str) -> Response:
    """The last message, which must be the assistant's: its text, or the message if it holds more."""
    last = messages[-1]
    if last.role != "assistant":
        raise BadRow(
            "bad_type", f"the last message of '{name}' is the {last.role}'s", "end it with the assistant's response"
        )
    if len(raw[-1]) > 2 and (weight := weight_of(raw[-1], name)) != 1:
        reason = f"the response in '{name}' has the weight {weight:g}, but a response is trained on as a whole"
        raise BadRow("unread_field", reason, "remove the row, or the weight")
    return only_text(last)


def only_text(message: Message) -> Response:
    """The assistant's message, or only its text if it holds nothing more."""
    return message.content if message.model_fields_set <= {"role", "content"} else message


def require_question(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the prompt if it is not empty and does not end with an answer. Raises BadRow."""
    if not messages:
        raise BadRow("empty_prompt", "the prompt holds no messages", "add at least one")
    last = messages[-1]
    if last.role == "user" and last.content and not last.content.isspace():
        return messages
    if last.role == "assistant":
        reason = "the prompt ends with the assistant's turn, so it is already answered"
        raise BadRow("answered_prompt", reason, "end it with the user's message, or a tool's result")
    asked = [message for message in messages if message.role not in ("system", "developer")] or messages
    if not any(message.content.strip() for message in asked):
        raise BadRow("empty_prompt", "the prompt is empty", 'write one, or, to train on plain text, {"text": ...}')
    return messages

"""Inspect records that could be read: empty and equal responses, duplicates, contradictions.

An inspector is called with the records in order and remembers their keys (`Seen`), so that it can name the
earlier row.
"""

from collections.abc import Callable, Hashable
from typing import TypeVar

from penchant.data.importers.base import require_question
from penchant.data.importers.vote_fields import Vote
from penchant.data.records import (
    Comparison,
    Demonstration,
    Document,
    Labelled,
    Message,
    Origin,
    PreferencePair,
    Prompt,
    prompt_identity,
    response_key,
)
from penchant.data.seen import Seen
from penchant.data.verdicts import BadRow, Verdict

__all__ = [
    "Inspector",
    "inspect_answers",
    "inspect_demonstrations",
    "inspect_labelled",
    "inspect_pairs",
    "inspect_prompts",
    "inspect_votes",
    "require_pair",
]

Record_contra = TypeVar("Record_contra", contravariant=True)
Inspector = Callable[[Record_contra, Origin], Verdict | None]
"""Raises BadRow for a record that cannot be used; returns a warning for a usable one with a flaw; None otherwise."""


def require_pair(pair: PreferencePair) -> tuple[str, str]:
    """The keys of a pair's chosen and rejected response. Raises BadRow for a pair without anything to learn."""
    require_question(pair.prompt)
    chosen, rejected = response_key(pair.chosen), response_key(pair.rejected)
    if not (chosen and rejected):
        side = "rejected" if chosen else "chosen"
        raise BadRow("empty_response", f"the {side} response is empty", "write one, or remove the row")
    if chosen == rejected:
        raise BadRow("equal_responses", "chosen and rejected are the same text", "remove the row")
    return chosen, rejected


def inspect_pairs() -> Inspector[PreferencePair]:
    """A new inspector of pairs; pairs of one row, such as several annotators', may agree or disagree."""
    seen = Seen()

    def inspect(pair: PreferencePair, origin: Origin) -> Verdict | None:
        chosen, rejected = require_pair(pair)
        prompt = hash(prompt_identity(pair.prompt))
        opposite = seen.first((prompt, rejected, chosen))
        earlier = seen.remember((prompt, chosen, rejected), origin)
        if opposite and opposite != origin:
            reason = f"it prefers the response that {opposite} rejects"
            return Verdict("contradicts", origin, reason, "keep both if people disagree, else remove one")
        return _duplicate(origin, None if earlier == origin else earlier)

    return inspect


def inspect_answers() -> Inspector[PreferencePair | Comparison]:
    """A new inspector of pairs and of comparisons; a comparison may be answered by two people, or be a tie."""
    of_pair = inspect_pairs()
    return lambda record, origin: of_pair(record, origin) if isinstance(record, PreferencePair) else None


def inspect_labelled() -> Inspector[Labelled]:
    """A new inspector of labelled responses."""
    seen = Seen()

    def inspect(record: Labelled, origin: Origin) -> Verdict | None:
        prompt, response = hash(prompt_identity(record.prompt)), response_key(record.response)
        if not response:
            raise BadRow("empty_response", "the response is empty", "write one, or remove the row")
        opposite = seen.first((prompt, response, not record.desirable))
        earlier = seen.remember((prompt, response, record.desirable), origin)
        if opposite:
            reason = f"it labels the same response as {opposite}, but the other way round"
            return Verdict("contradicts", origin, reason, "keep both if people disagree, else remove one")
        return _duplicate(origin, earlier)

    return inspect


def inspect_demonstrations() -> Inspector[Demonstration | Document]:
    """A new inspector of demonstrations and documents."""
    seen = Seen()

    def inspect(record: Demonstration | Document, origin: Origin) -> Verdict | None:
        if isinstance(record, Document):
            key: Hashable = record.text
            texts = [record.text]
        else:
            key = prompt_identity(record.messages)
            texts = [_written(message) for message in record.messages if message.weight and message.role == "assistant"]
        if not all(text.strip() for text in texts):
            raise BadRow("empty_response", "the text to learn is empty", "write it, or remove the row")
        return _duplicate(origin, seen.remember(key, origin))

    return inspect


def inspect_prompts() -> Inspector[Prompt]:
    """A new inspector of prompts: an id belongs to one prompt, and a prompt is used once per id."""
    seen = Seen()
    of_id: dict[str, Prompt] = {}

    def inspect(prompt: Prompt, origin: Origin) -> Verdict | None:
        require_question(prompt.messages)
        first = of_id.setdefault(prompt.id, prompt)
        if first.messages != prompt.messages:
            reason = f"its id {prompt.id!r} is that of another prompt, {first.origin}"
            raise BadRow("repeated_id", reason, "give each prompt its own id")
        if first is not prompt:
            raise BadRow("duplicate", f"it repeats {first.origin}", "remove it if unintended")
        return _duplicate(origin, seen.remember(prompt_identity(prompt.messages), origin))

    return inspect


def inspect_votes() -> Inspector[Vote]:
    """A new inspector of votes, which may repeat."""
    return lambda _vote, _origin: None


def _written(message: Message) -> str:
    """The trainable content of an assistant's turn: its text, or its tool calls."""
    return message.content or message.tool_calls or ""


def _duplicate(origin: Origin, earlier: Origin | None) -> Verdict | None:
    return Verdict("duplicate", origin, f"it repeats {earlier}", "remove it if unintended") if earlier else None

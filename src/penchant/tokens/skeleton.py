"""The skeleton of a chat template: its own text around a conversation's contents, found by rendering marks.

With it a rendered conversation can be verified: it must equal the skeleton filled with the contents, otherwise the
template cut, changed or omitted something; and a special token spanning two texts was not written by the template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from penchant.data import Message

__all__ = [
    "THINK_CLOSE",
    "THINK_OPEN",
    "Skeleton",
    "Written",
    "answer_of",
    "marked",
    "shape_of",
    "spelt_in_json",
    "squeezed",
]

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
MARK = re.compile("\ue0fc([0-9]+)\ue0fd")
THOUGHT, ANSWER, REASONING = range(3)
"""The texts of a message: thinking inside its content, the content without it, and reasoning in its own field."""


@dataclass(frozen=True)
class Skeleton:
    """own: the template's text before, between and after the contents. slots: the content of each gap."""

    own: tuple[str, ...]
    slots: tuple[int, ...]

    @classmethod
    def of(cls, rendered: str) -> Skeleton:
        """From the rendering of `marked` messages."""
        parts = MARK.split(rendered)
        return cls(tuple(parts[::2]), tuple(map(int, parts[1::2])))

    def filled_with(self, messages: Sequence[Message]) -> Written | None:
        """The skeleton filled with the messages; None if a text is not only content, or has surrounding white space."""
        if not all(message.content == message.content.strip() and _is_bare(message) for message in messages):
            return None
        texts = [text for message in messages for text in ("", message.content, "")]
        return Written(self._filled(texts), self, tuple([texts[slot] for slot in self.slots]))

    def lacks(self, index: int) -> bool:
        """Whether the content of message `index` is not rendered."""
        return len(_KINDS) * index + ANSWER not in self.slots

    def writes_thinking(self, index: int) -> bool:
        """Whether the thinking of message `index` is rendered, from its content or its field."""
        return bool({len(_KINDS) * index + kind for kind in (THOUGHT, REASONING)} & set(self.slots))

    def read(self, text: str, messages: Sequence[Message]) -> tuple[bool, tuple[str, ...] | None]:
        """Whether `text` contains all texts of the messages, and their exact spelling in it if known.

        White space around them and within may be the template's own; results of tools may be written as JSON.
        """
        texts = _texts(messages)
        for is_stripped in (False, True):
            spelt = [one.strip() for one in texts] if is_stripped else texts
            if self._filled(spelt) == text:
                return True, tuple(spelt[slot] for slot in self.slots)
        bare = squeezed(text)
        return any(squeezed(self._filled(spelt)) == bare for spelt in (texts, _with_json(messages, texts))), None

    def _filled(self, texts: Sequence[str]) -> str:
        gaps = [piece for own, slot in zip(self.own, self.slots, strict=False) for piece in (own, texts[slot])]
        return "".join((*gaps, self.own[-1]))


@dataclass(frozen=True)
class Written:
    """A rendered conversation. fillings: the texts in the skeleton's gaps, if known exactly."""

    text: str
    skeleton: Skeleton | None = None
    fillings: tuple[str, ...] | None = None

    def strays(self, pattern: re.Pattern[str]) -> list[tuple[int, int]] | None:
        """The places of `pattern` outside the template's own text; None if a place is unknown."""
        found = [match.span() for match in pattern.finditer(self.text)]
        if not found or self.skeleton is None:
            return []
        if len(found) == _num_found(pattern.pattern, self.skeleton.own):
            return []
        if self.fillings is None:
            return None
        own = list(self._own_spans())
        return [(a, b) for a, b in found if not any(start <= a and b <= end for start, end in own)]

    def _own_spans(self) -> Iterator[tuple[int, int]]:
        assert self.skeleton is not None
        assert self.fillings is not None
        start = 0
        for own, filling in zip(self.skeleton.own, (*self.fillings, ""), strict=True):
            yield start, start + len(own)
            start += len(own) + len(filling)


@lru_cache(maxsize=4096)
def _num_found(pattern: str, texts: tuple[str, ...]) -> int:
    return sum(len(re.findall(pattern, text)) for text in texts)


def marked(messages: Sequence[Message]) -> list[Message]:
    """The messages with a mark in place of every text."""
    return [message.model_copy(update=_marks(message, index)) for index, message in enumerate(messages)]


def shape_of(messages: Sequence[Message]) -> tuple[object, ...]:
    """The key of a skeleton: everything in the messages besides their texts, and which texts are present."""
    return tuple(
        [
            (
                message.role,
                message.tool_calls,
                message.tools,
                message.name,
                message.tool_call_id,
                bool(message.content),
                bool(message.reasoning),
                _thinking(message) is not None,
            )
            for message in messages
        ]
    )


def _is_bare(message: Message) -> bool:
    """Whether a message has only its role and a content without thinking."""
    more = message.tool_calls or message.tools or message.name or message.tool_call_id or message.reasoning
    return more is None and THINK_CLOSE not in message.content


def answer_of(message: Message) -> str:
    """The content without the thinking in it."""
    return (_thinking(message) or ("", "", message.content))[2]


_KINDS = (THOUGHT, ANSWER, REASONING)


def _marks(message: Message, index: int) -> dict[str, str]:
    def mark(kind: int) -> str:
        return f"\ue0fc{len(_KINDS) * index + kind}\ue0fd"

    marks = {"reasoning": mark(REASONING)} if message.reasoning else {}
    if (thinking := _thinking(message)) is not None:
        return marks | {"content": f"{thinking[0]}{mark(THOUGHT)}\n{THINK_CLOSE}\n\n{mark(ANSWER)}"}
    return marks | ({"content": mark(ANSWER)} if message.content else {})


def _texts(messages: Sequence[Message]) -> list[str]:
    texts = []
    for message in messages:
        _, thought, answer = _thinking(message) or ("", "", message.content)
        texts += [thought, answer, message.reasoning or ""]
    return texts


def _thinking(message: Message) -> tuple[str, str, str] | None:
    """The opening tag, thinking and rest of the assistant's content; None if there is no thinking."""
    if message.role != "assistant" or THINK_CLOSE not in message.content:
        return None
    before, _, answer = message.content.rpartition(THINK_CLOSE)
    opened = before.lstrip().startswith(THINK_OPEN)
    return f"{THINK_OPEN}\n" * opened, before.lstrip().removeprefix(THINK_OPEN) if opened else before, answer


def spelt_in_json(text: str, *, only_ascii: bool = False) -> str:
    """The text as spelt inside JSON quotes."""
    return json.dumps(text, ensure_ascii=only_ascii).removeprefix('"').removesuffix('"')


def _with_json(messages: Sequence[Message], texts: Sequence[str]) -> list[str]:
    return [
        spelt_in_json(text) if messages[slot // len(_KINDS)].role == "tool" else text for slot, text in enumerate(texts)
    ]


def squeezed(text: str) -> str:
    """The text without any white space."""
    return "".join(text.split())

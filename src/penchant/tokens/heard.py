"""Check that a chat template renders all content of the messages, for every conversation.

Nearly always this is a comparison of texts: the rendering must equal the template's skeleton for such a conversation
(see `penchant.tokens.skeleton`) filled with its texts. Otherwise the template is tested: words of the texts must occur
in the rendering, and a changed text must change it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penchant.data import Message
from penchant.tokens.functions import Field, function_of, functions_of
from penchant.tokens.functions_heard import HeardFunctions
from penchant.tokens.refusals import BoundaryError, NotWrittenError
from penchant.tokens.skeleton import Skeleton, Written, answer_of, marked, shape_of
from penchant.tokens.words import has_words, with_a_part_changed

__all__ = ["Hearing"]

MOST_REMEMBERED = 4096
FUNCTIONS: dict[Field, str] = {"tools": "the tools of", "tool_calls": "the tool calls of"}


class Hearing:
    """What is known about one template. render(messages, is_answered): renders a conversation, or a prompt."""

    def __init__(self, render: Callable[[Sequence[Message], bool], str]) -> None:
        self._render = render
        self._skeletons: dict[tuple[object, ...], Skeleton | None] = {}
        self._tried: set[tuple[object, ...]] = set()
        self._functions = HeardFunctions()
        self._filled: tuple[Sequence[Message], Written] | None = None

    def fill(self, messages: Sequence[Message], is_answered: bool) -> str | None:
        """The rendering of the messages, if the template writes texts without inspecting them; None: it must be run."""
        skeleton = self.skeleton(messages, is_answered)
        written = None if skeleton is None else skeleton.filled_with(messages)
        self._filled = None if written is None else (messages, written)
        return None if written is None else written.text

    def require(self, messages: Sequence[Message], text: str, *, is_answered: bool, response_at: int = 0) -> Written:
        """Read back the rendering `text`. Raises NotWrittenError if it omits content of the messages.

        is_answered: the last message is the response; only it is checked, in the text after `response_at`; else the
        messages are a prompt.
        """
        start = len(messages) - 1 if is_answered else 0
        self._require_fields(messages, text, start, response_at, is_answered)
        written, is_whole = self._read_back(messages, text, is_answered)
        for index, message in enumerate(messages[start:], start):
            is_written = is_whole and written.skeleton is not None and not written.skeleton.lacks(index)
            if message.content and not is_written and not self._finds(messages, index, text, response_at, is_answered):
                raise NotWrittenError(f"the chat template leaves out {_whose(messages, index)}, or a part of it")
        return written

    def hears_thinking(self, messages: Sequence[Message]) -> bool:
        """Whether the response's thinking is rendered, not only words that also occur elsewhere, as in a call."""
        skeleton = self.skeleton(messages, True)
        return skeleton is None or skeleton.writes_thinking(len(messages) - 1)

    def _read_back(self, messages: Sequence[Message], text: str, is_answered: bool) -> tuple[Written, bool]:
        """The rendering with the skeleton of such messages, and whether filling the skeleton gives that rendering."""
        last = self._filled  # another thread may replace it
        if last is not None and last[0] is messages and last[1].text is text:
            return last[1], True
        skeleton = self.skeleton(messages, is_answered)
        if skeleton is None:
            return Written(text), False
        is_whole, fillings = skeleton.read(text, messages)
        return Written(text, skeleton, fillings), is_whole

    def skeleton(self, messages: Sequence[Message], is_answered: bool) -> Skeleton | None:
        """The template's text around such messages' contents; None if it refuses the marks."""
        shape = (is_answered, *shape_of(messages))
        if shape not in self._skeletons:
            if len(self._skeletons) >= MOST_REMEMBERED:
                self._skeletons.clear()  # with calls and tools every conversation differs
            try:
                self._skeletons[shape] = Skeleton.of(self._render(marked(messages), is_answered))
            except BoundaryError:  # a template that refuses texts it does not know
                self._skeletons[shape] = None
        return self._skeletons[shape]

    def _finds(self, messages: Sequence[Message], index: int, text: str, begin: int, is_answered: bool) -> bool:
        """Whether the content's words occur in the text, and each part of it affects the rendering."""
        said, answer = messages[index], answer_of(messages[index])
        if not has_words(answer, text[begin:]):
            return False
        before = said.content.removesuffix(answer)
        changes = (said.model_copy(update={"content": before + other}) for other in with_a_part_changed(answer))
        return all(self._differs(messages, index, changed, text, is_answered) for changed in changes)

    def _require_fields(
        self, messages: Sequence[Message], text: str, start: int, response_at: int, is_answered: bool
    ) -> None:
        """The same for tools, calls and names, which the skeleton does not cover."""
        if not any(message.tool_calls or message.tools or message.name for message in messages[start:]):
            return
        shape = (is_answered, *map(_fields_of, messages))
        if shape not in self._tried:
            for index, what, changed in _changes(messages, start):
                if not self._differs(messages, index, changed, text, is_answered):
                    raise NotWrittenError(f"the chat template leaves out {what}")
            self._tried.add(shape)
        for index, message in enumerate(messages[start:], start):
            for what, said in _names_in(message):
                if not has_words(said, text):
                    raise _left_out(what, messages, index, said)
            for field, what in FUNCTIONS.items():
                left_out = self._left_out(messages, index, field, (text, response_at), is_answered, shape)
                if left_out is not None:
                    raise _left_out(what, messages, index, left_out)

    def _left_out(
        self,
        messages: Sequence[Message],
        index: int,
        field: Field,
        written: tuple[str, int],
        is_answered: bool,
        shape: tuple[object, ...],
    ) -> str | None:
        """Content of a message's tools or calls that the template omits."""
        message = messages[index]
        if (value := getattr(message, field)) is None:
            return None

        def render(other: str) -> str | None:
            return self._with(messages, index, message.model_copy(update={field: other}), is_answered)

        return self._functions.left_out(value, field, *written, render, (*shape, index))

    def _differs(self, messages: Sequence[Message], index: int, changed: Message, text: str, is_answered: bool) -> bool:
        """Whether replacing message `index` changes the rendering, or is refused."""
        return self._with(messages, index, changed, is_answered) != text

    def _with(self, messages: Sequence[Message], index: int, changed: Message, is_answered: bool) -> str | None:
        """The rendering with message `index` replaced; None if the template refuses it."""
        try:
            return self._render([*messages[:index], changed, *messages[index + 1 :]], is_answered)
        except BoundaryError:
            return None


def _left_out(what: str, messages: Sequence[Message], index: int, said: str) -> NotWrittenError:
    whose = f"{what} {_whose(messages, index)}"
    return NotWrittenError(f"the chat template leaves out {whose}, or a part of it: {said[:40]!r}")


def _whose(messages: Sequence[Message], index: int) -> str:
    return f"message {index + 1}, the {messages[index].role}'s"


def _changes(messages: Sequence[Message], start: int) -> Iterator[tuple[int, str, Message]]:
    """Yield copies of a message with one change each, and its name; each must change the rendering."""
    for index, message in enumerate(messages[start:], start):
        whose = _whose(messages, index)
        fields = [("tool_calls", f"the tool calls of {whose}"), ("tools", "the tools")]
        if message.role != "tool":  # the position also tells which call a result belongs to
            fields.append(("name", f"the name in {whose}"))
        for field, what in fields:
            for other in _others(field, getattr(message, field)):
                yield index, what, message.model_copy(update={field: other})


def _fields_of(message: Message) -> tuple[Any, ...]:
    """The structure of tools, calls and names, independent of their words, that determines their rendering."""
    calls = [bool(function_of(call).get("arguments")) for call in json.loads(message.tool_calls or "[]")]
    num_tools = len(json.loads(message.tools or "[]"))
    return message.role, bool(message.content), bool(message.name), tuple(calls), num_tools


def _others(field: str, value: str | None) -> Iterator[str]:
    """Alternative values of a field: another name, or the list with one function's name or call changed."""
    if not value:
        return
    if field == "name":
        yield f"{value}~"
        return
    functions = json.loads(value)
    for index, one in enumerate(functions):
        function = function_of(one)
        changes = [{"name": f"{function.get('name')}_"}]
        if isinstance(function.get("arguments"), dict):
            changes.append({"arguments": function["arguments"] | {"~": 1}})
        for change in changes:
            other = one | {"function": function | change} if "function" in one else one | change
            yield json.dumps([*functions[:index], other, *functions[index + 1 :]], ensure_ascii=False)


def _names_in(message: Message) -> Iterator[tuple[str, str]]:
    """Names that must occur in the rendering, and their owners: the message, tools and calls."""
    if message.name and message.role != "tool":
        yield "the name in", message.name
    for field, what in FUNCTIONS.items():
        for function in functions_of(getattr(message, field) or "[]"):
            yield what, str(function.get("name", ""))

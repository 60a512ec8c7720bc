"""Messages become text under a chat template: what the model will read, and what it is to write after it.

A template decides how a conversation is written, and some write less than the messages say: no tools, no reasoning,
no system. What a template leaves out is never left out in silence; the messages are refused with a BoundaryError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import jinja2

from penchant.data import Message, Response, as_message
from penchant.errors import ModelError

__all__ = [
    "PLAIN",
    "THINK_CLOSE",
    "THINK_OPEN",
    "BoundaryError",
    "ChatTemplate",
    "NotWrittenError",
    "OpenThinkingError",
    "Tokenizer",
]

PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The template of a model that knows no roles: the contents, one after the other."""

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
THINKING = re.compile(rf"\s*{THINK_OPEN}(.*?){THINK_CLOSE}(.*)", re.DOTALL)

CLOCK = (
    "{%- macro strftime_now(format) -%}{%- set ns = namespace(text=format) -%}"
    "{%- for directive, value in penchant_clock.items() -%}"
    "{%- set ns.text = ns.text.replace(directive, value) -%}{%- endfor -%}{{- ns.text -}}{%- endmacro -%}"
)
"""Put before a template that asks for the time: it gets that of the run, not of the day on which it is read."""

DIRECTIVES = tuple(f"%{sign}{letter}" for sign in ("", "-") for letter in "aAbBdHIjmMpSUwWyYxXcGuVZzf")


class BoundaryError(ValueError):
    """These messages cannot be written so that it is known which tokens are the response's; code, fix: its verdict."""

    code = "template_boundary"
    fix = "use another chat template or drop the row"


class NotWrittenError(BoundaryError):
    """The template leaves out something that the messages say."""

    code = "not_written"
    fix = "use a chat template that writes it, or remove it from the row"


class OpenThinkingError(BoundaryError):
    """A response that thinks and never comes to its answer."""

    code = "thinking_open"
    fix = f"close it with {THINK_CLOSE} and an answer, or drop the row"


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    chat_template: Any
    bos_token_id: int | None
    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False) -> list[int]: ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> str: ...


class ChatTemplate:
    """One Jinja template. clock: what `strftime_now` tells it, the time of the run."""

    def __init__(self, tokenizer: Tokenizer, source: str, clock: datetime) -> None:
        self._tokenizer = tokenizer
        self.source = source
        self.asks_for_time = "strftime_now" in source
        self._clock = {d: clock.strftime(d) for d in DIRECTIVES} if self.asks_for_time else None
        self._heard: set[tuple[Any, ...]] = set()
        self._latest: tuple[tuple[Message, ...], str] | None = None

    def prompt(self, messages: Sequence[Message]) -> str:
        """The messages as the model reads them, up to where its answer begins. Raises BoundaryError."""
        if self._latest is None or not _same(self._latest[0], messages):
            self._require_heard(messages, is_answered=False)
            text = self._render(messages, add_generation_prompt=True)
            self._latest = tuple(messages), text  # every response to it asks for it again
        return self._latest[1]

    def continuation(self, prompt: Sequence[Message], response: Response) -> str:
        """What the model is to write after `prompt`: the response and whatever ends its turn. Raises BoundaryError.

        Some templates drop the assistant's thinking when they write a finished answer, or open it in the prompt; the
        response then begins with the thinking as the model writes it.
        """
        before = self.prompt(prompt)
        message = _with_thinking_opened(as_message(response), before)
        if message.content.lstrip().startswith(THINK_OPEN) and THINK_CLOSE not in message.content:
            raise OpenThinkingError("the response begins to think and never comes to an answer")
        thought, answer = _parted(message)
        self._require_heard([*prompt, message], is_answered=True)
        for written in self._spellings(prompt, message, before):
            continued = written[len(before) :] if written.startswith(before) else None
            if continued is not None and (not thought or continued.count(thought) > answer.content.count(thought)):
                return continued
        if thought:
            raise NotWrittenError("the chat template leaves out the response's reasoning")
        opened = f", as it opens {THINK_OPEN} and the response has no reasoning" if _opens_thinking(before) else ""
        raise BoundaryError(f"the chat template does not continue its own prompt when the response is added{opened}")

    def _spellings(self, prompt: Sequence[Message], message: Message, before: str) -> Iterator[str]:
        """Ways to write the conversation with the message at its end, from the template's own to our last resort."""
        yield self._render([*prompt, message], add_generation_prompt=False)
        thought, answer = _parted(message)
        if thought and self._knows_thinking():
            yield from self._thinking_aloud(prompt, thought, answer, before)
        # A template may write a finished conversation otherwise than its prompt (a system that stands before the last
        # question only while that waits for an answer); the response itself it writes as in the shortest conversation.
        asked = [Message(role="user", content="?")]
        shortest, answered = self._render(asked, add_generation_prompt=True), [*asked, message]
        if (written := self._render(answered, add_generation_prompt=False)).startswith(shortest):
            yield before + written[len(shortest) :]

    def _thinking_aloud(self, prompt: Sequence[Message], thought: str, answer: Message, before: str) -> Iterator[str]:
        """The conversation with the thinking as text before the answer, where the template writes none of its own."""
        inline = answer.model_copy(update={"content": f"{THINK_OPEN}\n{thought}\n{THINK_CLOSE}\n\n{answer.content}"})
        yield self._render([*prompt, inline], add_generation_prompt=False)
        header = before[: before.rindex(THINK_OPEN)] if _opens_thinking(before) else before
        bare = self._render([*prompt, answer], add_generation_prompt=False)
        if bare.startswith(header):
            opening = before if header != before else f"{before}{THINK_OPEN}\n"
            yield f"{opening}{thought}\n{THINK_CLOSE}\n\n{bare[len(header) :]}"

    def _knows_thinking(self) -> bool:
        added = getattr(self._tokenizer, "added_tokens_decoder", {}).values()
        return "think>" in self.source or any(str(token) == THINK_OPEN for token in added)

    def _require_heard(self, messages: Sequence[Message], *, is_answered: bool) -> None:
        """Refuse messages of which the template writes something less than they say, found once for each shape.

        is_answered: the last is the response, of which alone it is asked; else they are a prompt.
        """
        shape = (is_answered, *map(_shape, messages))
        if shape in self._heard:
            return
        written = self._render(messages, add_generation_prompt=not is_answered)
        for what, changed in _changes(messages, start=len(messages) - 1 if is_answered else 0):
            if self._render(changed, add_generation_prompt=not is_answered) == written:
                raise NotWrittenError(f"the chat template leaves out {what}")
        self._heard.add(shape)

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        if not messages:  # transformers refuses an empty conversation
            if self.source == PLAIN:
                return ""
            raise BoundaryError("the conversation begins with the assistant, so its first answer has no prompt")
        try:
            return self._apply(messages, add_generation_prompt, arguments_as_text=False)
        except jinja2.TemplateSyntaxError as error:
            raise ModelError(f"the chat template is not Jinja ({error}, line {error.lineno}); mend it") from error
        except (jinja2.TemplateError, TypeError) as error:  # its own raise_exception, or an expression that fails
            if any(message.tool_calls for message in messages):
                try:  # some templates write the arguments of a call as they are and want text
                    return self._apply(messages, add_generation_prompt, arguments_as_text=True)
                except (jinja2.TemplateError, TypeError):
                    pass
            raise BoundaryError(f"the chat template refuses these messages ({error})") from error

    def _apply(self, messages: Sequence[Message], add_generation_prompt: bool, *, arguments_as_text: bool) -> str:
        return self._tokenizer.apply_chat_template(
            [_row(message, arguments_as_text) for message in messages],
            tools=None if messages[0].tools is None else json.loads(messages[0].tools),
            chat_template=(CLOCK + self.source) if self.asks_for_time else self.source,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            **({} if self._clock is None else {"penchant_clock": self._clock}),
        )


def _same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _row(message: Message, arguments_as_text: bool) -> dict[str, Any]:
    """A message as templates know it."""
    row: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        row["reasoning_content"] = message.reasoning
    if message.tool_calls is not None:
        row["tool_calls"] = json.loads(message.tool_calls)
        for call in row["tool_calls"] if arguments_as_text else ():
            call["function"]["arguments"] = json.dumps(call["function"].get("arguments"), ensure_ascii=False)
    for name in ("name", "tool_call_id"):
        if (value := getattr(message, name)) is not None:
            row[name] = value
    return row


def _parted(message: Message) -> tuple[str, Message]:
    """What a message thinks ("" for nothing), and the message without it; thinking may stand in its content."""
    if message.reasoning and message.reasoning.strip():
        return message.reasoning.strip(), message.model_copy(update={"reasoning": None})
    if (found := THINKING.fullmatch(message.content)) and found[1].strip():
        return found[1].strip(), message.model_copy(update={"content": found[2].lstrip("\n"), "reasoning": None})
    return "", message


def _with_thinking_opened(message: Message, prompt: str) -> Message:
    """A response sampled after a prompt that opens the thinking ends it without having begun it."""
    if not _opens_thinking(prompt) or message.reasoning or THINK_CLOSE not in message.content:
        return message
    opened = message.content.lstrip().startswith(THINK_OPEN)
    return message if opened else message.model_copy(update={"content": f"{THINK_OPEN}\n{message.content}"})


def _opens_thinking(prompt: str) -> bool:
    return prompt.rstrip().endswith(THINK_OPEN)


def _changes(messages: Sequence[Message], start: int) -> Iterator[tuple[str, list[Message]]]:
    """The messages with one thing said otherwise from `start` on, and what that is; each must make another text."""
    for index, message in enumerate(messages[start:], start):
        whose = f"message {index + 1}, the {message.role}'s"
        fields = [("content", whose), ("tool_calls", f"the tool calls of {whose}"), ("tools", "the tools")]
        if message.role != "tool":  # which call a result is of, its place says too
            fields.append(("name", f"the name in {whose}"))
        for field, what in fields:
            for other in _others(field, getattr(message, field)):
                changed = message.model_copy(update={field: other})
                yield what, [*messages[:index], changed, *messages[index + 1 :]]


def _shape(message: Message) -> tuple[Any, ...]:
    """What decides how a template writes a message, whatever its words are."""
    calls = [bool(_function(call).get("arguments")) for call in json.loads(message.tool_calls or "[]")]
    num_tools = len(json.loads(message.tools or "[]"))
    return message.role, bool(message.content), bool(message.name), tuple(calls), num_tools


def _others(field: str, value: str | None) -> Iterator[str]:
    """What a field might say instead: another text, or the list with one function called or calling otherwise."""
    if not value:
        return
    if field in ("content", "name"):
        yield f"{value}~"
        return
    functions = json.loads(value)
    for index, one in enumerate(functions):
        function = _function(one)
        changes = [{"name": f"{function.get('name')}_"}]
        if isinstance(function.get("arguments"), dict):
            changes.append({"arguments": function["arguments"] | {"~": 1}})
        for change in changes:
            other = one | {"function": function | change} if "function" in one else one | change
            yield json.dumps([*functions[:index], other, *functions[index + 1 :]], ensure_ascii=False)


def _function(one: dict[str, Any]) -> dict[str, Any]:
    """The function of a tool or of a call."""
    function = one.get("function", one)
    return function if isinstance(function, dict) else {}

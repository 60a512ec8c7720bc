"""Render messages with a chat template: the prompt that the model reads, and the continuation to generate.

Some templates omit content of the messages: tools, reasoning, or the system message. Omissions are never silent: the
messages are refused with a BoundaryError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import jinja2

from penchant.data import Message, Response, as_message
from penchant.errors import ModelError
from penchant.tokens.clock import Clock
from penchant.tokens.heard import Hearing
from penchant.tokens.refusals import BoundaryError, NotWrittenError, OpenThinkingError, SpecialTokenError
from penchant.tokens.skeleton import THINK_CLOSE, THINK_OPEN, Written
from penchant.tokens.time_limit import time_limit
from penchant.tokens.writers import writes_texts_unseen
from penchant.wording import reason_of

__all__ = [
    "PLAIN",
    "ChatTemplate",
    "Tokenizer",
]

PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The template of a model without roles: the concatenated contents."""

THINKING = re.compile(rf"\s*{THINK_OPEN}(.*?){THINK_CLOSE}(.*)", re.DOTALL)

MOST_SECONDS = 30.0
"""The most seconds for rendering one conversation; templates are untrusted code, and may loop forever."""

Spelling = tuple[str, Sequence[Message], str]
"""A continuation, the conversation rendered for it, and that rendering, which ends with it."""


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used."""

    chat_template: Any
    bos_token_id: int | None
    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool, split_special_tokens: bool = False) -> list[int]: ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: Any) -> str: ...


class ChatTemplate:
    """One Jinja template. clock: the time returned by `strftime_now`, that of the run.

    spelling: special tokens that only the template may produce, not two adjacent texts; None for all.
    """

    def __init__(
        self, tokenizer: Tokenizer, source: str, clock: datetime, spelling: re.Pattern[str] | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._spelling = spelling
        self.source = source
        self._clock = Clock(clock, source)
        self._hearing = Hearing(lambda messages, is_answered: self._run(messages, is_answered=is_answered))
        self._is_writer = writes_texts_unseen(source)
        self._latest: tuple[tuple[Message, ...], Written] | None = None

    @property
    def told_of_time(self) -> str | None:
        """The template's time in ISO 8601; None if it does not use the time."""
        return self._clock.told

    def prompt(self, messages: Sequence[Message]) -> Written:
        """The messages as the model reads them, up to the start of its answer. Raises BoundaryError."""
        if self._latest is None or not _same(self._latest[0], messages):
            text = self._render(messages, is_answered=False)
            written = self._hearing.require(messages, text, is_answered=False)
            self._latest = tuple(messages), written  # every response to it requests it again
        return self._latest[1]

    def continuation(self, prompt: Sequence[Message], response: Response) -> str:
        """The text to generate after `prompt`: the response and the end of its turn. Raises BoundaryError.

        Some templates drop the assistant's thinking from a finished answer, or open it in the prompt; the response then
        begins with the thinking as the model generates it.
        """
        before = self.prompt(prompt).text
        message = _with_thinking_opened(as_message(response), before)
        self._require_answer(message)
        thought, answer = _parted(message)
        for continued, conversation, text in self._spellings(prompt, message, thought, answer, before):
            if not thought or (
                continued.count(thought) > answer.content.count(thought)
                and (conversation[-1] is answer or self._hearing.hears_thinking(conversation))
            ):
                begin = max(len(text) - len(continued), 0)
                written = self._hearing.require(conversation, text, is_answered=True, response_at=begin)
                self._require_no_strays(written, begin)
                return continued
        if thought:
            raise NotWrittenError("the chat template leaves out the response's reasoning")
        opened = f", as it opens {THINK_OPEN} and the response has no reasoning" if _opens_thinking(before) else ""
        raise BoundaryError(f"the chat template writes the prompt differently once the response is added{opened}")

    def _require_answer(self, message: Message) -> None:
        """Raise OpenThinkingError for unclosed reasoning, or reasoning without an answer or a call after it."""
        is_thinking = _is_said(message.reasoning) or message.content.lstrip().startswith(THINK_OPEN)
        if not is_thinking and not self._knows_thinking:
            return  # the tags are words of the answer
        _, closed, ending = message.content.rpartition(THINK_CLOSE)
        if THINK_OPEN in ending:
            raise OpenThinkingError("the response opens its reasoning and never gives an answer")
        if (is_thinking or closed) and not _is_said(ending) and not message.tool_calls:
            raise OpenThinkingError("the response has reasoning and no answer after it")

    def _require_no_strays(self, written: Written, start: int) -> None:
        strays = written.strays(self._spelling) if self._spelling else []
        if strays is None or any(begin >= start for begin, _ in strays):
            raise SpecialTokenError(
                "the response and the text that the template writes beside it together spell a special token"
            )

    def _spellings(
        self, prompt: Sequence[Message], message: Message, thought: str, answer: Message, before: str
    ) -> Iterator[Spelling]:
        """Yield spellings of the message after the prompt, from the template's own to a last resort.

        thought, answer: the two parts of the message.
        """
        conversations = [[*prompt, message]]
        if thought and self._knows_thinking:  # the thinking as text, if the template renders none
            inline = f"{THINK_OPEN}\n{thought}\n{THINK_CLOSE}\n\n{answer.content}"
            conversations.append([*prompt, answer.model_copy(update={"content": inline})])
        for conversation in conversations:
            text = self._render(conversation, is_answered=True)
            if text.startswith(before):
                yield text[len(before) :], conversation, text
        if thought and self._knows_thinking:
            header = before[: before.rindex(THINK_OPEN)] if _opens_thinking(before) else before
            text = self._render([*prompt, answer], is_answered=True)
            if text.startswith(header):  # the thinking is ours
                opening = "" if header != before else f"{THINK_OPEN}\n"
                yield f"{opening}{thought}\n{THINK_CLOSE}\n\n{text[len(header) :]}", [*prompt, answer], text
        # A template may write a finished conversation otherwise than its prompt (a system that stands before the last
        # question only while that waits for an answer); the response itself it writes as in the shortest conversation.
        asked = [Message(role="user", content="?")]
        shortest = self._render(asked, is_answered=False)
        if (text := self._render([*asked, message], is_answered=True)).startswith(shortest):
            yield text[len(shortest) :], [*asked, message], text

    @cached_property
    def _knows_thinking(self) -> bool:
        added = getattr(self._tokenizer, "added_tokens_decoder", {}).values()
        return "think>" in self.source or any(str(token) == THINK_OPEN for token in added)

    def _render(self, messages: Sequence[Message], *, is_answered: bool) -> str:
        if self._is_writer and messages and (filled := self._hearing.fill(messages, is_answered)) is not None:
            return filled
        return self._run(messages, is_answered=is_answered)

    def _run(self, messages: Sequence[Message], *, is_answered: bool) -> str:
        if not messages:  # transformers refuses an empty conversation
            if self.source == PLAIN:
                return ""
            raise BoundaryError("the conversation begins with the assistant, so its first answer has no prompt")
        first: Exception | None = None
        has_calls = any(message.tool_calls for message in messages)
        for as_text in (False, True) if has_calls else (False,):  # some templates expect a call's arguments as text
            try:
                return self._apply(messages, not is_answered, arguments_as_text=as_text)
            except jinja2.TemplateSyntaxError as error:
                line = error.lineno - self._clock.num_lines_before
                raise ModelError(f"the chat template is not Jinja ({error}, line {line}); fix it") from error
            except TimeoutError as error:
                raise ModelError(f"the chat template does not finish ({error}); fix it") from error
            except Exception as error:  # its own raise_exception, or untrusted code that fails in any way
                first = first or error
        assert first is not None
        raise BoundaryError(f"the chat template refuses these messages ({reason_of(first)})") from first

    def _apply(self, messages: Sequence[Message], add_generation_prompt: bool, *, arguments_as_text: bool) -> str:
        rows = [_row(message, arguments_as_text) for message in messages]
        tools = None if messages[0].tools is None else json.loads(messages[0].tools)
        with time_limit(MOST_SECONDS):
            return self._clock.rendered(
                lambda **told: self._tokenizer.apply_chat_template(
                    rows,
                    tools=tools,
                    chat_template=self._clock.source,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    **told,
                )
            )


def _same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


def _row(message: Message, arguments_as_text: bool) -> dict[str, Any]:
    """A message in the templates' format."""
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
    """A message's thinking ("" if none), and the message without it; thinking may be inside the content."""
    if message.reasoning and _is_said(message.reasoning):
        return message.reasoning.strip(), message.model_copy(update={"reasoning": None})
    if (found := THINKING.fullmatch(message.content)) and found[1].strip():
        return found[1].strip(), message.model_copy(update={"content": found[2].lstrip("\n"), "reasoning": None})
    return "", message


def _is_said(text: str | None) -> bool:
    return bool(text and text.strip())


def _with_thinking_opened(message: Message, prompt: str) -> Message:
    """Add the opening tag to a response whose prompt already opened the thinking."""
    if not _opens_thinking(prompt) or message.reasoning or THINK_CLOSE not in message.content:
        return message
    opened = message.content.lstrip().startswith(THINK_OPEN)
    return message if opened else message.model_copy(update={"content": f"{THINK_OPEN}\n{message.content}"})


def _opens_thinking(prompt: str) -> bool:
    return prompt.rstrip().endswith(THINK_OPEN)

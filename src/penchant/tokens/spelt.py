"""Texts that spell a special token of the tokenizer: refuse them, or encode them as characters or as the token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from penchant.data import Message
from penchant.errors import ConfigError
from penchant.tokens.pieces import Manner, Piece
from penchant.tokens.refusals import SpecialTokenError
from penchant.tokens.skeleton import THINK_CLOSE, THINK_OPEN, Written
from penchant.tokens.template import Tokenizer

__all__ = ["SpecialTokens", "SpeltTokens", "special_tokens_of"]

SpecialTokens = Literal["refuse", "text", "control"]
"""The treatment of a text that spells a special token: refuse it, encode it as characters, or as the token."""


def special_tokens_of(option: str | None) -> SpecialTokens:
    """The requested treatment, by default "refuse". Raises ConfigError."""
    found: dict[str | None, SpecialTokens] = {None: "refuse", "refuse": "refuse", "text": "text", "control": "control"}
    if option not in found:
        raise ConfigError(f"special_tokens must be refuse, text or control, got {option!r}; choose one of them")
    return found[option]


MARK = re.compile("\ue0fe([0-9]+)\ue0ff")
"""A placeholder for a spelt special token during rendering."""


class SpeltTokens:
    """Finds special tokens of a tokenizer in texts.

    tokens: their spellings, longest first. pattern: matches one; None if disabled.
    """

    def __init__(self, tokenizer: Tokenizer, manner: SpecialTokens) -> None:
        self.manner = manner
        self.tokens = _special_spellings(tokenizer)
        watches = self.tokens and manner != "control"
        self.pattern = re.compile("|".join(map(re.escape, self.tokens))) if watches else None
        self._guarded_before: tuple[Sequence[Message], list[Message]] = (), []

    def guarded(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with every spelt special token refused, marked as text, or left to become a token."""
        if self._guarded_before[0] is not messages or not isinstance(messages, tuple):  # a list may have changed
            self._guarded_before = messages, [self.guard(message) for message in messages]
        return self._guarded_before[1]  # every response requests its prompt again

    def guard(self, message: Message) -> Message:
        """The same for one message. Raises SpecialTokenError."""
        if self.pattern is None:
            return message
        changed = {}
        for field in ("content", "reasoning", "tool_calls", "tools", "name", "tool_call_id"):
            text = getattr(message, field)
            if text is not None and self.manner == "text" and MARK.search(text):
                raise SpecialTokenError(f"the {message.role}'s {field} holds the characters that mark special tokens")
            if text is not None and (found := self.pattern.search(text)):
                if self.manner == "refuse":
                    raise SpecialTokenError(f"the {message.role}'s {field} spells the special token {found[0]}")
                changed[field] = self.pattern.sub(lambda spelt: self._mark(spelt[0]), text)
        return message.model_copy(update=changed) if changed else message

    def in_rendered(self, written: Written) -> str:
        """A rendered prompt with every special token not from the template refused, marked or left."""
        text, strays = written.text, written.strays(self.pattern) if self.pattern else []
        if strays is None or (strays and self.manner == "refuse"):
            which = "a special token" if strays is None else f"the special token {text[slice(*strays[0])]}"
            raise SpecialTokenError(f"two neighbouring texts of the prompt together spell {which}")
        for start, end in reversed(strays):
            text = text[:start] + self._mark(text[start:end]) + text[end:]
        return text

    def without_marks(self, text: str) -> str:
        """Rendered text with its placeholders resolved."""
        return MARK.sub(lambda mark: self.tokens[int(mark[1])], text) if self.manner == "text" else text

    def pieces(self, text: str, manner: Manner) -> tuple[Piece, ...]:
        """Split rendered text, so that placeholders of special tokens are encoded as characters."""
        if self.manner != "text":
            return ((manner, text),)
        first, *rest = MARK.split(text)
        # what opens a text is written before a spelt token too, which then begins it
        pieces: list[Piece] = [(manner, first)] if first or manner == "opened" or not rest else []
        begins = not first and manner != "continuing"
        for index, following in zip(rest[::2], rest[1::2], strict=True):
            pieces.append(("spelt" if begins else "spelt on", self.tokens[int(index)]))
            begins = False
            if following:
                pieces.append(("continuing", following))
        return tuple(pieces)

    def _mark(self, spelt: str) -> str:
        return f"\ue0fe{self.tokens.index(spelt)}\ue0ff"


def _special_spellings(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Texts that the tokenizer turns into special tokens, longest first; thinking tags are excluded."""
    tokens: Any = getattr(tokenizer, "added_tokens_decoder", {}).values()
    found = {str(token) for token in tokens if token.special} - {THINK_OPEN, THINK_CLOSE}
    return tuple(sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text)))

"""Records become token ids: a prompt, a response as its continuation, and a conversation from these two.

There is one answer to how a conversation is read. The ids of an assistant's turn are those of `encode_prompt` for what
stands before it, which is what sampling gives the model, followed by those of `encode_response`. A conversation is its
turns; where the template writes the earlier ones as they were, they are one sequence, else each turn is its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from os.path import commonprefix
from typing import Any, Literal

import numpy as np

from penchant.data import Message, Response, as_message
from penchant.errors import ConfigError, ModelError
from penchant.tokens.forest import TokenSequence
from penchant.tokens.refusals import BoundaryError, SpecialTokenError
from penchant.tokens.skeleton import THINK_CLOSE, THINK_OPEN
from penchant.tokens.template import PLAIN, ChatTemplate, Tokenizer

__all__ = ["ChatEncoder", "SpecialTokens", "special_tokens_of"]

SpecialTokens = Literal["refuse", "text", "control"]
"""What becomes of a text that spells a special token: refused, read as the characters it is, or as the token."""


def special_tokens_of(option: str | None) -> SpecialTokens:
    """What is asked for, "refuse" by default. Raises ConfigError."""
    found: dict[str | None, SpecialTokens] = {None: "refuse", "refuse": "refuse", "text": "text", "control": "control"}
    if option not in found:
        raise ConfigError(f"special_tokens is refuse, text or control, got {option!r}; choose one of them")
    return found[option]


MARK = re.compile("\ue0fe([0-9]+)\ue0ff")
"""Stands for a spelt special token while the template is rendered."""


class ChatEncoder:
    """Messages to token ids for one tokenizer and one chat template.

    template: a Jinja chat template, "plain" for none, or None for the tokenizer's own. end_ids: tokens that end a
    turn, the model's end-of-text tokens. special_tokens: see `SpecialTokens`. clock: the time that a template is told
    which asks for it, now by default. Raises ModelError where there is no template.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        template: str | None = None,
        end_ids: Sequence[int] = (),
        special_tokens: SpecialTokens = "refuse",
        clock: datetime | None = None,
    ) -> None:
        own = tokenizer.chat_template
        if isinstance(own, dict):
            own = own.get("default")
        chosen = PLAIN if template == "plain" else template or own
        if not chosen:
            raise ModelError(
                "the tokenizer has no chat template, so roles cannot be written down; "
                'give `chat_template="plain"` for a model of raw text, or the path of a Jinja template'
            )
        self.tokenizer = tokenizer
        self.clock = clock or datetime.now().astimezone()
        self.end_ids = frozenset(i for i in (*end_ids, tokenizer.eos_token_id) if i is not None)
        self.special_tokens = special_tokens
        self._spelt = _special_spellings(tokenizer)
        watches = self._spelt and special_tokens != "control"
        self._spelling = re.compile("|".join(map(re.escape, self._spelt))) if watches else None
        self._template = ChatTemplate(tokenizer, chosen, self.clock, self._spelling)
        self._glue = self._find_glue()

    @property
    def template(self) -> str:
        """The source of the chat template."""
        return self._template.source

    @property
    def is_plain(self) -> bool:
        """Whether contents are written without roles."""
        return self.template == PLAIN

    def prompt_text(self, prompt: Sequence[Message]) -> str:
        """The prompt as the model reads it, up to where its answer begins. Raises BoundaryError."""
        text = self._rendered(prompt)
        return MARK.sub(lambda mark: self._spelt[int(mark[1])], text) if self.special_tokens == "text" else text

    def encode_prompt(self, prompt: Sequence[Message]) -> list[int]:
        """Ids of the prompt; a chat template writes its own special tokens, "plain" has the tokenizer's.

        Raises BoundaryError for messages that the template cannot write or that spell a special token.
        """
        text = self._rendered(prompt)
        ids = self._encode(text, lambda start: self.tokenizer.encode(start, add_special_tokens=self.is_plain))
        while self.is_plain and ids and ids[-1] in self.end_ids:
            ids.pop()  # some tokenizers close every text with an end token; a prompt goes on
        start = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        return ids or ([] if start is None else [start])  # something must stand before the first token of a response

    def encode_response(self, prompt: Sequence[Message], response: Response) -> list[int]:
        """Ids of the response up to and including the end-of-turn token. Raises BoundaryError."""
        *asked, message = self._guarded([*prompt, as_message(response)])
        return self._close(self._encode(self._template.continuation(asked, message), self._encode_continuation))

    def encode_conversation(self, messages: Sequence[Message]) -> tuple[TokenSequence, ...]:
        """The assistant's turns of a conversation, each scored up to its end-of-turn token with the message's weight.

        One sequence where every turn continues the one before; where the template rewrites what was said (as those that
        take earlier thinking out), one for each turn, as the model will see it. A turn of weight 0 is read only. Raises
        BoundaryError; there is no sequence where no turn has a weight.
        """
        chains: list[_Chain] = []
        for turn, message in enumerate(messages):
            if message.role == "assistant" and message.weight > 0:
                prompt = self.encode_prompt(messages[:turn])
                answer = self.encode_response(messages[:turn], message)
                if not chains or not chains[-1].grow(prompt, answer, message.weight):
                    chains.append(_Chain(prompt, answer, message.weight))
        return tuple(chain.sequence() for chain in chains)

    def encode_document(self, text: str) -> list[int]:
        """Ids of plain text, opened and closed by the tokenizer's special tokens where it has them."""
        (guarded,) = self._guarded([Message(role="user", content=text)])
        ids = self._encode(guarded.content, lambda start: self.tokenizer.encode(start, add_special_tokens=True))
        if self.tokenizer.bos_token_id is not None and ids[:1] != [self.tokenizer.bos_token_id]:
            ids = [self.tokenizer.bos_token_id, *ids]
        if self.tokenizer.eos_token_id is not None and ids[-1] != self.tokenizer.eos_token_id:
            ids = [*ids, self.tokenizer.eos_token_id]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a response's ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def decode_response(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        """Text of a sampled response as it is kept, so that `encode_response` finds the tokens again.

        Where contents are written one after the other, the space before a word belongs to the response; many decoders
        drop it at the beginning of a text, so the response is what it adds to the prompt.
        """
        if not self.is_plain:
            return self.decode(ids).strip()
        before, whole = self.decode(prompt_ids), self.decode([*prompt_ids, *ids])
        return whole[len(commonprefix([before, whole])) :].rstrip()  # noqa: RUF071  a decoder may tidy the seam

    def cuts_thinking(self, ids: Sequence[int], num_kept: int) -> bool:
        """Whether the first `num_kept` tokens end in the midst of a thinking that all of them would close.

        A response may begin in its thinking, where the template opens it in the prompt.
        """
        if num_kept >= len(ids):
            return False
        whole, kept = (self.tokenizer.decode(part, skip_special_tokens=False) for part in (ids, ids[:num_kept]))
        if whole.count(THINK_CLOSE) == kept.count(THINK_CLOSE):
            return False
        begins_inside = THINK_OPEN not in whole.partition(THINK_CLOSE)[0] and THINK_CLOSE not in kept
        return begins_inside or THINK_OPEN in kept.rpartition(THINK_CLOSE)[2]

    def _rendered(self, prompt: Sequence[Message]) -> str:
        """The prompt with every special token that is none of the template's refused, marked or left, as a text's."""
        written = self._template.prompt(self._guarded(prompt))
        text, strays = written.text, written.strays(self._spelling) if self._spelling else []
        if strays is None or (strays and self.special_tokens == "refuse"):
            which = "a special token" if strays is None else f"the special token {text[slice(*strays[0])]}"
            raise SpecialTokenError(f"texts of the prompt that stand beside each other together spell {which}")
        for start, end in reversed(strays):
            text = text[:start] + self._mark(text[start:end]) + text[end:]
        return text

    def _guarded(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with every special token that they spell refused, marked as text, or left to become one."""
        if self._spelling is None:
            return list(messages)
        return [self._guard(message) for message in messages]

    def _guard(self, message: Message) -> Message:
        changed = {}
        for field in ("content", "reasoning", "tool_calls", "tools", "name", "tool_call_id"):
            text = getattr(message, field)
            if text is not None and self.special_tokens == "text" and MARK.search(text):
                raise SpecialTokenError(f"the {message.role}'s {field} holds the characters that mark special tokens")
            if text is not None and (found := self._spelling.search(text)):  # type: ignore[union-attr]  # see _guarded
                if self.special_tokens == "refuse":
                    raise SpecialTokenError(f"the {message.role}'s {field} spells the special token {found[0]}")
                changed[field] = self._spelling.sub(lambda spelt: self._mark(spelt[0]), text)  # type: ignore[union-attr]
        return message.model_copy(update=changed) if changed else message

    def _mark(self, spelt: str) -> str:
        return f"\ue0fe{self._spelt.index(spelt)}\ue0ff"

    def _encode(self, text: str, encode_start: Callable[[str], list[int]]) -> list[int]:
        """Ids of rendered text; what stands for a spelt special token is encoded as characters."""
        first, *rest = MARK.split(text) if self.special_tokens == "text" else [text]
        ids = encode_start(first) if first or not rest else []
        for index, following in zip(rest[::2], rest[1::2], strict=True):
            ids += self.tokenizer.encode(self._spelt[int(index)], add_special_tokens=False, split_special_tokens=True)
            ids += self._encode_continuation(following) if following else []
        return ids

    def _encode_continuation(self, text: str) -> list[int]:
        glued = self.tokenizer.encode(self._glue + text, add_special_tokens=False)
        opening = self.tokenizer.encode(self._glue, add_special_tokens=False) if self._glue else []
        if glued[: len(opening)] != opening:
            raise BoundaryError("the tokenizer merges the prompt's last character with the response's first")
        return glued[len(opening) :]

    def _find_glue(self) -> str:
        """Text to put before a continuation so that the tokenizer does not treat it as the beginning of a text.

        SentencePiece tokenizers write a space before every text; behind a newline they do not.
        """
        joined = [
            *self.tokenizer.encode("x", add_special_tokens=False),
            *self.tokenizer.encode("y", add_special_tokens=False),
        ]
        return "" if self.tokenizer.decode(joined, skip_special_tokens=True).strip() == "xy" else "\n"

    def _close(self, ids: list[int]) -> list[int]:
        """Cut behind the end-of-turn token that closes the turn; add one where the template writes none.

        Only white space may follow it: an end token in the middle of a text closes nothing.
        """
        for index in range(len(ids) - 1, -1, -1):
            if ids[index] in self.end_ids:
                return ids[: index + 1]
            if self.tokenizer.decode([ids[index]], skip_special_tokens=False).strip():
                break
        return ids if self.tokenizer.eos_token_id is None else [*ids, self.tokenizer.eos_token_id]


class _Chain:
    """Turns of a conversation of which each continues the one before."""

    def __init__(self, prompt: list[int], answer: list[int], weight: float) -> None:
        self.ids: list[int] = []
        self.weights: list[float] = []  # of every token; 0 is not scored
        self._add(prompt, answer, weight)

    def grow(self, prompt: list[int], answer: list[int], weight: float) -> bool:
        """Take in a turn, unless what stands before it is not what is here."""
        if prompt[: len(self.ids)] != self.ids:
            return False
        self._add(prompt[len(self.ids) :], answer, weight)
        return True

    def _add(self, read: list[int], answer: list[int], weight: float) -> None:
        self.ids += [*read, *answer]
        self.weights += [*([0.0] * len(read)), *([weight] * len(answer))]

    def sequence(self) -> TokenSequence:
        weights = np.array(self.weights, dtype=np.float32)
        scored = weights > 0
        inside = weights[scored]
        ids = np.array(self.ids, dtype=np.int64)
        return TokenSequence(ids, scored, None if (inside == 1).all() else inside)


def _special_spellings(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Texts that the tokenizer turns into special tokens, longest first; thinking has none here, it is read."""
    tokens: Any = getattr(tokenizer, "added_tokens_decoder", {}).values()
    found = {str(token) for token in tokens if token.special} - {THINK_OPEN, THINK_CLOSE}
    return tuple(sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text)))

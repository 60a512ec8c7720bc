"""Records become token ids: the prompt once, each response as its continuation under the chat template.

The template is rendered with and without the response. The rendering with it must start with the rendering without it,
so the boundary between prompt and completion is known, never guessed, and the loss mask follows from it. A completion
ends with the end-of-turn token; whatever the template writes after that belongs to the next turn and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import Any, Protocol

import jinja2

from penchant.data import Message, Response, as_message
from penchant.errors import ModelError

__all__ = ["PLAIN", "BoundaryError", "ChatEncoder", "Tokenizer"]

PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The template of a model that knows no roles: the contents, one after the other."""


class BoundaryError(ValueError):
    """The template refuses the messages or rewrites its own prompt, so no token can be said to be the response's."""


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    chat_template: Any
    bos_token_id: int | None
    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, chat_template: str, tokenize: bool, add_generation_prompt: bool
    ) -> str: ...


class ChatEncoder:
    """Messages to token ids for one tokenizer and one chat template.

    template: a Jinja chat template, "plain" for none, or None for the tokenizer's own. end_ids: tokens that end a
    turn, the model's end-of-text tokens. Raises ModelError where there is no template.
    """

    def __init__(self, tokenizer: Tokenizer, *, template: str | None = None, end_ids: Sequence[int] = ()) -> None:
        own = tokenizer.chat_template
        if isinstance(own, dict):
            own = own.get("default")
        chosen = PLAIN if template == "plain" else template or own
        if not chosen:
            raise ModelError(
                "the tokenizer has no chat template, so roles cannot be written down; "
                "pass --chat-template plain for a model of raw text, or the path of a Jinja template"
            )
        self.tokenizer = tokenizer
        self.template: str = chosen
        self.end_ids = frozenset(i for i in (*end_ids, tokenizer.eos_token_id) if i is not None)
        self._glue = self._find_glue()

    @property
    def is_plain(self) -> bool:
        """Whether contents are written without roles."""
        return self.template == PLAIN

    def prompt_text(self, prompt: Sequence[Message]) -> str:
        """The prompt as the model reads it, up to where its answer begins."""
        return self._render(prompt, add_generation_prompt=True)

    def encode_prompt(self, prompt: Sequence[Message]) -> list[int]:
        """Ids of the prompt; a chat template writes its own special tokens, "plain" has the tokenizer's."""
        ids = self.tokenizer.encode(self.prompt_text(prompt), add_special_tokens=self.is_plain)
        while self.is_plain and ids and ids[-1] in self.end_ids:
            ids.pop()  # some tokenizers close every text with an end token; a prompt goes on
        start = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        return ids or ([] if start is None else [start])  # something must stand before the first token of a response

    def encode_response(self, prompt: Sequence[Message], response: Response) -> list[int]:
        """Ids of the response up to and including the end-of-turn token. Raises BoundaryError."""
        before = self.prompt_text(prompt)
        whole = self._render([*prompt, as_message(response)], add_generation_prompt=False)
        if not whole.startswith(before):
            raise BoundaryError("the chat template does not continue its own prompt when the response is added")
        return self._close(self._encode_continuation(whole[len(before) :]))

    def encode_conversation(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Ids of a whole conversation and, token by token, whether an assistant's turn is scored. Raises BoundaryError.

        Every assistant turn counts, each up to its end-of-turn token.
        """
        ids: list[int] = []
        scored: list[bool] = []
        written = ""
        for turn, message in enumerate(messages):
            if message.role != "assistant":
                continue
            before = self.prompt_text(messages[:turn])
            after = self._render(messages[: turn + 1], add_generation_prompt=False)
            if not before.startswith(written) or not after.startswith(before):
                raise BoundaryError("the chat template rewrites earlier turns, so their tokens cannot be kept")
            opening = (
                self.encode_prompt(messages[:turn]) if not ids else self._encode_continuation(before[len(written) :])
            )
            tail = self._encode_continuation(after[len(before) :])
            answer = self._close(tail)
            rest = tail[len(answer) :]
            ids += [*opening, *answer, *rest]
            scored += [False] * len(opening) + [True] * len(answer) + [False] * len(rest)
            written = after
        return ids, scored

    def encode_document(self, text: str) -> list[int]:
        """Ids of plain text, opened and closed by the tokenizer's special tokens where it has them."""
        ids = self.tokenizer.encode(text, add_special_tokens=True)
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

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        if not messages:  # transformers refuses an empty conversation
            if self.is_plain:
                return ""
            raise BoundaryError("the conversation begins with the assistant, so its first answer has no prompt")
        try:
            return self.tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except jinja2.TemplateSyntaxError as error:
            raise ModelError(f"the chat template is not Jinja ({error}, line {error.lineno}); mend it") from error
        except (jinja2.TemplateError, TypeError) as error:  # its own raise_exception, or an expression that fails
            raise BoundaryError(f"the chat template refuses these messages ({error})") from error

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

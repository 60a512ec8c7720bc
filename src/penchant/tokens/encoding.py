"""Encode records as token ids: a prompt, a response as its continuation, and conversations from these two.

There is a single definition of how a conversation is read. The ids of an assistant's turn are those of `encode_prompt`
for the messages before it, as in sampling, followed by those of `encode_response`. If the template renders earlier
turns unchanged, a conversation is one sequence; otherwise each turn is its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from os.path import commonprefix

from penchant.data import Message, Response, as_message
from penchant.errors import ModelError
from penchant.tokens.forest import TokenSequence
from penchant.tokens.pieces import Encoded, Piece, PieceEncoder, Split
from penchant.tokens.refusals import BoundaryError
from penchant.tokens.skeleton import THINK_CLOSE, THINK_OPEN
from penchant.tokens.spelt import SpecialTokens, SpeltTokens
from penchant.tokens.template import PLAIN, ChatTemplate, Tokenizer
from penchant.tokens.turns import joined_turns

__all__ = ["ChatEncoder", "Text"]


@dataclass(frozen=True, eq=False)
class Text:
    """A rendered prompt, response or document. finish: post-processing of its ids."""

    pieces: tuple[Piece, ...]
    finish: Callable[[list[int]], list[int]]


class ChatEncoder:
    """Messages to token ids for one tokenizer and one chat template.

    template: a Jinja chat template, "plain" for none, or None for the tokenizer's own. end_ids: tokens that end a
    turn, the model's end-of-text tokens. special_tokens: see `SpecialTokens`. clock: the time for templates that use
    it, by default now. whole_turns: whether a response includes the template's text after its end-of-turn token, such
    as a line break: it is never generated, but it is in a finished conversation. Raises ModelError if there is no
    template.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        template: str | None = None,
        end_ids: Sequence[int] = (),
        special_tokens: SpecialTokens = "refuse",
        clock: datetime | None = None,
        whole_turns: bool = False,
    ) -> None:
        own = tokenizer.chat_template
        if isinstance(own, dict):
            own = own.get("default")
        chosen = PLAIN if template == "plain" else template or own
        if not chosen:
            raise ModelError(
                "the tokenizer has no chat template, so it cannot write the roles of messages; "
                'give `chat_template="plain"` for a model of raw text, or the path of a Jinja template'
            )
        self.tokenizer = tokenizer
        self.clock = clock or datetime.now().astimezone()
        self._bos_id, self._eos_id = tokenizer.bos_token_id, tokenizer.eos_token_id  # which it looks up anew each time
        self.end_ids = frozenset(i for i in (*end_ids, self._eos_id) if i is not None)
        self.special_tokens = special_tokens
        self.whole_turns = whole_turns
        self._spelt = SpeltTokens(tokenizer, special_tokens)
        self._template = ChatTemplate(tokenizer, chosen, self.clock, self._spelt.pattern)
        self._encoder = PieceEncoder(tokenizer)
        self._is_blank: dict[int, bool] = {}

    @property
    def template(self) -> str:
        """The source of the chat template."""
        return self._template.source

    @property
    def is_plain(self) -> bool:
        """Whether contents are rendered without roles."""
        return self.template == PLAIN

    def fingerprint(self) -> str | None:
        """The sha256 (hex) of everything that ids depend on; None for a tokenizer that cannot be serialised.

        That is the tokenizer, the chat template with its time, and the treatment of special tokens.
        """
        fast = getattr(self.tokenizer, "backend_tokenizer", None)
        if fast is None:
            return None
        ends = self._bos_id, self._eos_id, sorted(self.end_ids)
        told = self._template.told_of_time
        parts = [
            type(self.tokenizer).__name__,
            fast.to_str(),
            self.template,
            told,
            self.special_tokens,
            ends,
            self._spelt.tokens,
            *(["whole turns"] if self.whole_turns else []),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def prompt_text(self, prompt: Sequence[Message]) -> str:
        """The prompt as the model reads it, up to the start of its answer. Raises BoundaryError."""
        return self._spelt.without_marks(self._rendered(prompt))

    def encode_prompt(self, prompt: Sequence[Message]) -> list[int]:
        """Ids of the prompt; a chat template renders its own special tokens, "plain" uses the tokenizer's.

        Raises BoundaryError for messages that the template cannot render or that spell a special token.
        """
        return self._encoded(self.write_prompt(prompt))

    def encode_response(self, prompt: Sequence[Message], response: Response) -> list[int]:
        """Ids of the response up to and including the end-of-turn token. Raises BoundaryError."""
        return self._encoded(self.write_response(prompt, response))

    def encode_document(self, text: str) -> list[int]:
        """Ids of plain text, with the tokenizer's special tokens at start and end, if any."""
        return self._encoded(self.write_document(text))

    def write_prompt(self, prompt: Sequence[Message]) -> Text:
        """Render the prompt as input for `encode`. Raises BoundaryError like `encode_prompt`."""
        return Text(self._spelt.pieces(self._rendered(prompt), "opened" if self.is_plain else "as written"), self._open)

    def write_response(self, prompt: Sequence[Message], response: Response) -> Text:
        """Render the response as input for `encode`. Raises BoundaryError like `encode_response`."""
        asked = self._spelt.guarded(prompt)
        continuation = self._template.continuation(asked, self._spelt.guard(as_message(response)))
        return Text(self._spelt.pieces(continuation, "continuing"), self._close)

    def write_document(self, text: str) -> Text:
        """Render plain text as input for `encode`. Raises BoundaryError."""
        guarded = self._spelt.guard(Message(role="user", content=text))
        return Text(self._spelt.pieces(guarded.content, "opened"), self._enclose)

    def turns(self, messages: Sequence[Message]) -> list[int]:
        """The indices of the assistant's messages with a weight."""
        return [i for i, message in enumerate(messages) if message.role == "assistant" and message.weight > 0]

    def write_turn(self, messages: Sequence[Message], turn: int) -> Iterator[Text]:
        """Render the messages before `turn`, then that message. Raises BoundaryError."""
        yield self.write_prompt(messages[:turn])
        yield self.write_response(messages[:turn], messages[turn])

    def join_turns(self, messages: Sequence[Message], ids: Sequence[list[int]]) -> tuple[TokenSequence, ...]:
        """The sequences of a conversation from the ids of each turn's `write_turn`.

        Each turn is scored up to its end-of-turn token with the message's weight; a turn of weight 0 is context only.
        It is one sequence if every turn continues the one before; if the template rewrites earlier turns (for example
        removes earlier thinking), one per turn, as the model will see it. There is no sequence if no turn has a weight.
        """
        weights = (messages[turn].weight for turn in self.turns(messages))
        return joined_turns(zip(ids[::2], ids[1::2], weights, strict=True))

    def encode(self, texts: Sequence[Text]) -> list[Encoded]:
        """The ids of each text, or its BoundaryError; many texts at once are faster."""
        return self.joined(texts, self.split(texts))

    def split(self, texts: Sequence[Text]) -> Split:
        """The first part of `encode`, which a fast tokenizer runs outside Python, so that it can run in a thread."""
        return self._encoder.split([text.pieces for text in texts])

    def joined(self, texts: Sequence[Text], split: Split) -> list[Encoded]:
        """The rest of `encode`, from the result of `split`."""
        found = self._encoder.joined([text.pieces for text in texts], split)
        return [
            ids if isinstance(ids, BoundaryError) else text.finish(ids) for text, ids in zip(texts, found, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a response's ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def decode_response(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        """The text of a sampled response, such that `encode_response` gives its tokens again.

        With a plain template, the space before a word belongs to the response; many decoders drop it at the start of a
        text, so the response is decoded as what it adds to the prompt.
        """
        return self.trimmed(self.decode_added(prompt_ids, ids))

    def decode_added(self, prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
        """The text that a response adds to its prompt, including white space."""
        if not self.is_plain:
            return self.decode(ids)
        before, whole = self.decode(prompt_ids), self.decode([*prompt_ids, *ids])
        return whole[len(commonprefix([before, whole])) :]  # noqa: RUF071  a decoder may tidy the seam

    def trimmed(self, text: str) -> str:
        """A response's text without white space at its end, or at its start unless it continues a text."""
        return text.rstrip() if self.is_plain else text.strip()

    def cuts_thinking(self, ids: Sequence[int], num_kept: int) -> bool:
        """Whether the first `num_kept` tokens end inside thinking that the full response closes, or right after it.

        A response may begin inside thinking, if the template opens it in the prompt.
        """
        if num_kept >= len(ids):
            return False
        whole, kept = (self.tokenizer.decode(part, skip_special_tokens=False) for part in (ids, ids[:num_kept]))
        if kept.rstrip().endswith(THINK_CLOSE):
            return True
        if whole.count(THINK_CLOSE) == kept.count(THINK_CLOSE):
            return False
        begins_inside = THINK_OPEN not in whole.partition(THINK_CLOSE)[0] and THINK_CLOSE not in kept
        return begins_inside or THINK_OPEN in kept.rpartition(THINK_CLOSE)[2]

    def _rendered(self, prompt: Sequence[Message]) -> str:
        return self._spelt.in_rendered(self._template.prompt(self._spelt.guarded(prompt)))

    def _encoded(self, text: Text) -> list[int]:
        (ids,) = self.encode([text])
        if isinstance(ids, BoundaryError):
            raise ids
        return ids

    def _open(self, ids: list[int]) -> list[int]:
        while self.is_plain and ids and ids[-1] in self.end_ids:
            ids.pop()  # some tokenizers append an end token to every text, but a prompt continues
        start = self._bos_id if self._bos_id is not None else self._eos_id
        return ids or ([] if start is None else [start])  # a response's first token needs a preceding one

    def _enclose(self, ids: list[int]) -> list[int]:
        if self._bos_id is not None and ids[:1] != [self._bos_id]:
            ids = [self._bos_id, *ids]
        if self._eos_id is not None and ids[-1:] != [self._eos_id]:
            ids = [*ids, self._eos_id]
        return ids

    def _close(self, ids: list[int]) -> list[int]:
        """Cut after the turn's end-of-turn token, except for whole turns; add one if missing.

        Only white space may follow it: an end token inside a text ends nothing.
        """
        for index in range(len(ids) - 1, -1, -1):
            if ids[index] in self.end_ids:
                return ids if self.whole_turns else ids[: index + 1]
            if not self._blank(ids[index]):
                break
        return ids if self._eos_id is None else [*ids, self._eos_id]

    def _blank(self, token: int) -> bool:
        if token not in self._is_blank:
            self._is_blank[token] = not self.tokenizer.decode([token], skip_special_tokens=False).strip()
        return self._is_blank[token]

"""One answer in progress: its final text up to a stop sequence, and its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from penchant.models.rows import Row
from penchant.models.streaming import GrowingText
from penchant.serving.asked import Asked
from penchant.tokens.encoding import ChatEncoder

__all__ = ["Answer", "Ending", "Piece", "Token"]

Ending = Literal["stop", "length"]


@dataclass(frozen=True)
class Token:
    """A sampled token as text, with its log-probability; likeliest: the likeliest tokens at its position."""

    text: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """New text of an answer. num_tokens: tokens so far, including the end token. ending: None if it continues."""

    number: int
    text: str
    tokens: tuple[Token, ...]
    num_tokens: int
    ending: Ending | None


class Answer:
    """Receives the tokens of answer `number`, and emits the part that is final.

    The text is that of `ChatEncoder.decode_response`: trailing white space is held back until more follows, and so is
    the beginning of a stop sequence.
    """

    def __init__(
        self, number: int, asked: Asked, encoder: ChatEncoder, tokenizer: Any, prompt_ids: Sequence[int]
    ) -> None:
        self.number, self.asked, self.encoder, self.tokenizer = number, asked, encoder, tokenizer
        self._last_of_prompt = prompt_ids[-1]
        self._decode = partial(encoder.decode_added, prompt_ids)
        self._growing = GrowingText(tokenizer, self._decode)
        self._text = ""
        self._num_given = self._num_shown = 0
        self.ending: Ending | None = None

    def take(self, row: Row, *, is_whole: bool) -> Piece | None:
        """The piece to emit after one more token; None if there is nothing new."""
        if not (is_whole or self.asked.is_live or self.asked.stop):
            return None
        self._text += self._growing.finish(row.token_ids) if is_whole else self._growing.grow(row.token_ids)
        ended = row.token_ids[-1] in self.encoder.end_ids
        if is_whole:
            self.ending = "stop" if ended else "length"
        num_tokens = len(row.token_ids) - (is_whole and ended)
        if (cut := self._first_stop()) is not None:
            self._text, self.ending = self._text[:cut], "stop"
            num_tokens = self._num_within(row.token_ids, len(self._text.rstrip()))
        certain = self._text if self.ending else self._text[: len(self._text) - self._num_held()]
        shown = self.encoder.trimmed(certain)
        piece, self._num_given = shown[self._num_given :], max(len(shown), self._num_given)
        if not self.ending and not (piece and self.asked.is_live):
            self._num_given -= len(piece)
            return None
        tokens = self._tokens(row, num_tokens)
        return Piece(self.number, piece, tokens, len(row.token_ids), self.ending)

    def _first_stop(self) -> int | None:
        """The start of the first stop sequence."""
        places = [place for stop in self.asked.stop if (place := self._text.find(stop)) >= 0]
        return min(places, default=None)

    def _num_held(self) -> int:
        """The number of trailing characters that may begin a stop sequence."""
        begun = (n for stop in self.asked.stop for n in range(1, len(stop)) if self._text.endswith(stop[:n]))
        return max(begun, default=0)

    def _num_within(self, token_ids: Sequence[int], length: int) -> int:
        """The fewest tokens whose text has at least this length."""
        num = len(token_ids)
        while num and len(self._decode(token_ids[: num - 1])) >= length:
            num -= 1
        return num

    def _tokens(self, row: Row, num: int) -> tuple[Token, ...]:
        """The tokens up to `num` that were not emitted yet."""
        if self.asked.num_likeliest is None:
            return ()
        first, self._num_shown = self._num_shown, max(num, self._num_shown)
        before = [self._last_of_prompt, *row.token_ids]
        return tuple(
            Token(
                self._spelt(before[place], row.token_ids[place]),
                row.logprobs[place],
                tuple((self._spelt(before[place], one), logprob) for one, logprob in row.likeliest[place]),
            )
            for place in range(first, num)
        )

    def _spelt(self, before: int, token_id: int) -> str:
        """A token's text after another token: many decoders drop the space at the start of a text."""
        both, first = (str(self.tokenizer.decode(ids)) for ids in ([before, token_id], [before]))
        return both[len(first) :]

"""One answer while it is written: its text up to a stop, without what may still change, and what its tokens were."""

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
    """A token that was drawn, as text, with its log-probability; likeliest: those that were likeliest in its place."""

    text: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """What is new of an answer. num_tokens: drawn so far, the end token included. ending: None where it goes on."""

    number: int
    text: str
    tokens: tuple[Token, ...]
    num_tokens: int
    ending: Ending | None


class Answer:
    """Takes in what is written of answer `number`, and gives out what of it is certain.

    The text is that of `ChatEncoder.decode_response`: white space at its end waits for what follows. So does the
    beginning of a stop.
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
        """What can be given out now that the row has one more token; None where that is nothing."""
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
        """Where the first stop begins."""
        places = [place for stop in self.asked.stop if (place := self._text.find(stop)) >= 0]
        return min(places, default=None)

    def _num_held(self) -> int:
        """Characters at the end that may be the beginning of a stop."""
        begun = (n for stop in self.asked.stop for n in range(1, len(stop)) if self._text.endswith(stop[:n]))
        return max(begun, default=0)

    def _num_within(self, token_ids: Sequence[int], length: int) -> int:
        """The fewest tokens whose text is at least so long."""
        num = len(token_ids)
        while num and len(self._decode(token_ids[: num - 1])) >= length:
            num -= 1
        return num

    def _tokens(self, row: Row, num: int) -> tuple[Token, ...]:
        """Those up to `num` that were not shown yet."""
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
        """A token as it is read behind another: many decoders drop the space at the beginning of a text."""
        both, first = (str(self.tokenizer.decode(ids)) for ids in ([before, token_id], [before]))
        return both[len(first) :]

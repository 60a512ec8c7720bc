"""Encode demonstrations for next-token training: conversations and plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.data import Demonstration, Document, Origin, Verdict
from penchant.tokens.chunks import encoded_in_chunks
from penchant.tokens.encoding import ChatEncoder, Text
from penchant.tokens.forest import TokenSequence
from penchant.tokens.measuring import Lengths
from penchant.tokens.pairs import NOWHERE, Limits, Outcome, Tokenised, prompt_too_long, thinking_cut

__all__ = ["EncodedExample", "encoded_demonstrations", "tokenise_demonstrations"]


@dataclass(frozen=True, eq=False)
class EncodedExample:
    """Text for next-token training: a document's piece, or the turns of a conversation."""

    sequences: tuple[TokenSequence, ...]
    origin: Origin

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all scored tokens."""
        return sum(sequence.total_weight for sequence in self.sequences)


def tokenise_demonstrations(
    encoder: ChatEncoder, records: Iterable[Demonstration | Document], limits: Limits
) -> Tokenised[EncodedExample]:
    """Encode conversations, with the assistant's turns scored, and documents, with all tokens scored.

    A conversation is cut at max_length; a document is cut into pieces of max_length, none of it lost.
    """
    return Tokenised.of(encoded_demonstrations(encoder, records, limits))


def encoded_demonstrations(
    encoder: ChatEncoder,
    records: Iterable[Demonstration | Document],
    limits: Limits,
    lengths: Lengths | None = None,
) -> Iterator[Outcome[EncodedExample]]:
    """Yield the result for every conversation and document, in order. lengths: records their lengths."""

    def write(record: Demonstration | Document) -> Iterator[Text]:
        if isinstance(record, Document):
            yield encoder.write_document(record.text)
        else:
            for turn in encoder.turns(record.messages):
                yield from encoder.write_turn(record.messages, turn)

    def told(length: int) -> None:
        if lengths is not None:
            lengths.add_text(length)

    for record, ids, error in encoded_in_chunks(encoder, records, write):
        origin = record.origin or NOWHERE
        if error is not None:
            yield Verdict(error.code, origin, str(error), error.fix), 0
        elif isinstance(record, Document):
            told(len(ids[0]))
            pieces = _pieces(ids[0], limits.max_length, record.weight)
            yield tuple(EncodedExample((piece,), origin) for piece in pieces), 0
        else:
            turns = encoder.join_turns(record.messages, ids)
            for turn in turns:
                told(len(turn))
            found = _within(turns, encoder, limits, origin)
            if isinstance(found, Verdict):
                yield found, 0
            else:
                yield (EncodedExample(found, origin),), int(any(len(turn) > limits.max_length for turn in turns))


def _within(
    turns: Sequence[TokenSequence], encoder: ChatEncoder, limits: Limits, origin: Origin
) -> tuple[TokenSequence, ...] | Verdict:
    """A conversation's sequences cut at max_length, or the reason why nothing is left to learn."""
    if not turns:
        return Verdict("nothing_scored", origin, "no turn of the assistant has a weight above 0", "drop the row")
    kept = tuple(cut for turn in turns if (cut := turn.cut(limits.max_length)).scored.any())
    if not kept:
        return prompt_too_long(int(turns[0].scored.argmax()), limits.max_length, origin, limits.context_length)
    if any(encoder.cuts_thinking(turn.ids.tolist(), limits.max_length) for turn in turns):
        return thinking_cut(limits, origin)
    return kept


def _pieces(ids: list[int], max_length: int, weight: float) -> list[TokenSequence]:
    """Pieces of at most max_length tokens; each begins with the last token of the one before, so all are scored."""
    pieces = []
    for start in range(0, max(len(ids) - 1, 1), max_length - 1):
        piece = ids[start : start + max_length]
        if len(piece) > 1:
            pieces.append(TokenSequence.of(piece[:1], piece[1:]))
    if weight == 1:
        return pieces
    return [one.weighted(np.full(int(one.scored.sum()), weight, dtype=np.float32)) for one in pieces]

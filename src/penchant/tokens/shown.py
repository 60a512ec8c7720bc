"""Show encoded items to people: their parts, scored tokens, and ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.wording import sanitise

__all__ = ["Part", "Span", "parts_of", "scored_runs"]

NUM_TOKENS_SHOWN = 200
Kind = Literal["context", "scored", "end", "left_out"]


@dataclass(frozen=True)
class Span:
    """The text of consecutive tokens of one kind. end: the token that ends a turn. left_out: the number omitted."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Part:
    """A prompt, a response, or a whole text. num_scored: tokens that the loss is taken over."""

    name: str
    ids: tuple[int, ...]
    num_scored: int
    runs: tuple[tuple[Span, ...], ...]


def scored_runs(sequence: TokenSequence) -> Iterator[tuple[bool, NDArray[np.int64]]]:
    """The sequence cut where the loss mask changes: (scored, ids), in order."""
    changes = np.flatnonzero(sequence.scored[1:] != sequence.scored[:-1]) + 1
    for begin, end in pairwise([0, *changes.tolist(), len(sequence)]):
        yield bool(sequence.scored[begin]), sequence.ids[begin:end]


def parts_of(item: Any, encoder: ChatEncoder) -> Iterator[Part]:
    """Prompt, chosen and rejected of an encoded pair; every text of any other encoded item."""
    if not hasattr(item, "chosen"):
        for sequence in item.sequences:
            yield _part("text", [(scored, run.tolist()) for scored, run in scored_runs(sequence)], encoder)
        return
    yield _part("prompt", [(False, item.chosen.ids[~item.chosen.scored].tolist())], encoder)
    for name, sequence in (("chosen", item.chosen), ("rejected", item.rejected)):
        yield _part(name, [(True, sequence.ids[sequence.scored].tolist())], encoder)


def _part(name: str, runs: list[tuple[bool, list[int]]], encoder: ChatEncoder) -> Part:
    return Part(
        name,
        tuple(i for _, run in runs for i in run),
        sum(len(run) for scored, run in runs if scored),
        tuple(tuple(_spans(scored, run, encoder)) for scored, run in runs),
    )


def _spans(scored: bool, run: list[int], encoder: ChatEncoder) -> Iterator[Span]:
    """A run of tokens as text; a long one is shortened in the middle."""

    def text(part: list[int]) -> str:
        return sanitise(encoder.tokenizer.decode(part, skip_special_tokens=False))

    kind: Kind = "scored" if scored else "context"
    num_end = 1 if scored and run[-1] in encoder.end_ids else 0
    inner = run[: len(run) - num_end]
    if len(inner) > NUM_TOKENS_SHOWN:
        half = NUM_TOKENS_SHOWN // 2
        yield Span(kind, text(inner[:half]))
        yield Span("left_out", f" [{len(inner) - 2 * half} more tokens] ")
        yield Span(kind, text(inner[-half:]))
    else:
        yield Span(kind, text(inner))
    if num_end:
        yield Span("end", text(run[-1:]))

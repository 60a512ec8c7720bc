"""Preference pairs and demonstrations as token sequences, under one truncation rule.

A prompt is never cut: one longer than its limit is a bad row. A response is cut at the end of the length limit, by the
same rule on both sides, and then has no end-of-turn token; how many were cut is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant.data import Demonstration, Document, Message, Origin, PreferencePair, Verdict
from penchant.tokens.encoding import BoundaryError, ChatEncoder
from penchant.tokens.forest import TokenSequence

__all__ = [
    "NOWHERE",
    "EncodedExample",
    "EncodedPair",
    "Limits",
    "Tokenised",
    "prompt_too_long",
    "tokenise_demonstrations",
    "tokenise_pairs",
]

NOWHERE = Origin(file="<memory>", line=1)


@dataclass(frozen=True)
class Limits:
    """max_length: tokens of prompt and response together. max_prompt_length: tokens of the prompt alone.

    context_length: what the model was built for, if known; a prompt that fills it fits under no other limits.
    """

    max_length: int
    max_prompt_length: int
    context_length: int | None = None


@dataclass(frozen=True, eq=False)
class EncodedPair:
    """A pair ready for the model; the two sequences begin with the same prompt."""

    chosen: TokenSequence
    rejected: TokenSequence
    weight: float
    probability: float
    margin: float
    origin: Origin

    @property
    def sequences(self) -> tuple[TokenSequence, TokenSequence]:
        return self.chosen, self.rejected

    @property
    def referenced(self) -> tuple[TokenSequence, TokenSequence]:
        """What the reference policy is asked for."""
        return self.sequences

    def weigh_tokens(self, weights_of: Callable[[int, int], NDArray[np.float32]]) -> EncodedPair:
        """The pair with weights for its scored tokens, from the number of them on its own and on the other side."""
        num_chosen, num_rejected = (int(side.scored.sum()) for side in self.sequences)
        return replace(
            self,
            chosen=self.chosen.weighted(weights_of(num_chosen, num_rejected)),
            rejected=self.rejected.weighted(weights_of(num_rejected, num_chosen)),
        )


@dataclass(frozen=True, eq=False)
class EncodedExample:
    """Text for next-token training."""

    sequence: TokenSequence
    origin: Origin

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return (self.sequence,)


Item = TypeVar("Item")


@dataclass(frozen=True)
class Tokenised(Generic[Item]):
    """What became of the records: items, verdicts of those that could not be used, responses that were cut."""

    items: tuple[Item, ...]
    problems: tuple[Verdict, ...]
    num_truncated: int


def tokenise_pairs(
    encoder: ChatEncoder,
    pairs: Iterable[PreferencePair],
    limits: Limits,
    on_progress: Callable[[], None] = lambda: None,
) -> Tokenised[EncodedPair]:
    """Encode every pair; each prompt is encoded once."""
    prompts: dict[tuple[Message, ...], list[int]] = {}
    kept: list[EncodedPair] = []
    problems: list[Verdict] = []
    num_truncated = 0
    for pair in pairs:
        on_progress()
        origin = pair.origin or NOWHERE
        try:
            if pair.prompt not in prompts:
                prompts[pair.prompt] = encoder.encode_prompt(pair.prompt)
            prompt = prompts[pair.prompt]
            responses = [encoder.encode_response(pair.prompt, text) for text in (pair.chosen, pair.rejected)]
        except BoundaryError as error:
            problems.append(
                Verdict("template_boundary", origin, str(error), "use another chat template or drop the row")
            )
            continue
        if len(prompt) > limits.max_prompt_length:
            problems.append(prompt_too_long(len(prompt), limits.max_prompt_length, origin, limits.context_length))
            continue
        room = limits.max_length - len(prompt)
        chosen, rejected = (response[:room] for response in responses)
        if chosen == rejected:
            problems.append(
                Verdict(
                    "equal_after_truncation",
                    origin,
                    f"within {limits.max_length} tokens both responses are the same",
                    "raise --max-length or drop the row",
                )
            )
            continue
        num_truncated += sum(len(response) > room for response in responses)
        kept.append(
            EncodedPair(
                TokenSequence.of(prompt, chosen),
                TokenSequence.of(prompt, rejected),
                pair.weight,
                pair.probability,
                pair.margin,
                origin,
            )
        )
    return Tokenised(tuple(kept), tuple(problems), num_truncated)


def tokenise_demonstrations(
    encoder: ChatEncoder,
    records: Sequence[Demonstration | Document],
    limits: Limits,
    on_progress: Callable[[], None] = lambda: None,
) -> Tokenised[EncodedExample]:
    """Encode conversations, of which the assistant's turns are scored, and documents, scored everywhere.

    A conversation is cut at max_length; a document is cut into pieces of max_length, none of it lost.
    """
    kept: list[EncodedExample] = []
    problems: list[Verdict] = []
    num_truncated = 0
    for record in records:
        on_progress()
        origin = record.origin or NOWHERE
        if isinstance(record, Document):
            pieces = _pieces(encoder.encode_document(record.text), limits.max_length)
            kept += [EncodedExample(piece, origin) for piece in pieces]
            continue
        try:
            ids, scored = encoder.encode_conversation(record.messages)
        except BoundaryError as error:
            problems.append(
                Verdict("template_boundary", origin, str(error), "use another chat template or drop the row")
            )
            continue
        if not any(scored[: limits.max_length]):
            problems.append(prompt_too_long(scored.index(True), limits.max_length, origin, limits.context_length))
            continue
        num_truncated += len(ids) > limits.max_length
        sequence = TokenSequence(
            np.array(ids[: limits.max_length], dtype=np.int64), np.array(scored[: limits.max_length], dtype=bool)
        )
        kept.append(EncodedExample(sequence, origin))
    return Tokenised(tuple(kept), tuple(problems), num_truncated)


def _pieces(ids: list[int], max_length: int) -> list[TokenSequence]:
    """Pieces of at most max_length tokens; each begins with the last token of the one before, so all are scored."""
    pieces = []
    for start in range(0, max(len(ids) - 1, 1), max_length - 1):
        piece = ids[start : start + max_length]
        if len(piece) > 1:
            pieces.append(TokenSequence.of(piece[:1], piece[1:]))
    return pieces


def prompt_too_long(length: int, limit: int, origin: Origin, context_length: int | None = None) -> Verdict:
    """The verdict for a prompt, or what stands before the first scored token, over the limit."""
    fix = "shorten the prompt, or raise --max-length or --max-prompt-length where the model takes more tokens"
    if context_length is not None and length >= context_length:  # one token at least is the response's
        fix = f"the model takes {context_length} tokens, prompt and response together; shorten the prompt"
    return Verdict("prompt_too_long", origin, f"the prompt has {length} tokens, the limit is {limit}", fix)

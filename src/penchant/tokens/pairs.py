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

from penchant.data import Demonstration, Document, Message, Origin, PreferencePair, Response, Verdict
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.refusals import BoundaryError, OpenThinkingError

__all__ = [
    "NOWHERE",
    "EncodedExample",
    "EncodedPair",
    "Limits",
    "PromptAndResponses",
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
    """Text for next-token training: a document's piece, or the turns of a conversation."""

    sequences: tuple[TokenSequence, ...]
    origin: Origin

    @property
    def total_weight(self) -> float:
        """Sum of the weights of all scored tokens."""
        return sum(sequence.total_weight for sequence in self.sequences)


Item = TypeVar("Item")


@dataclass(frozen=True)
class Tokenised(Generic[Item]):
    """What became of the records: items, verdicts of those that could not be used, responses that were cut."""

    items: tuple[Item, ...]
    problems: tuple[Verdict, ...]
    num_truncated: int


class PromptAndResponses:
    """Prompts and responses under the limits; each prompt is encoded once."""

    def __init__(self, encoder: ChatEncoder, limits: Limits) -> None:
        self.encoder = encoder
        self.limits = limits
        self._prompts: dict[tuple[Message, ...], list[int]] = {}

    def encode(
        self, prompt: tuple[Message, ...], responses: Sequence[Response], origin: Origin
    ) -> tuple[list[int], list[list[int]]] | Verdict:
        """Ids of the prompt and of every response, not cut yet, or why the row cannot be used."""
        try:
            if prompt not in self._prompts:
                self._prompts[prompt] = self.encoder.encode_prompt(prompt)
            ids = self._prompts[prompt]
            encoded = [self.encoder.encode_response(prompt, response) for response in responses]
        except BoundaryError as error:
            return Verdict(error.code, origin, str(error), error.fix)
        if len(ids) > self.limits.max_prompt_length:
            return prompt_too_long(len(ids), self.limits.max_prompt_length, origin, self.limits.context_length)
        room = self.limits.max_length - len(ids)
        if any(self.encoder.cuts_thinking(response, room) for response in encoded):
            return thinking_cut(self.limits, origin)
        return ids, encoded

    def sequence(self, prompt: list[int], response: list[int]) -> TokenSequence:
        """The response after the prompt, as far as there is room."""
        return TokenSequence.of(prompt, response[: self.limits.max_length - len(prompt)])


def tokenise_pairs(
    encoder: ChatEncoder,
    pairs: Iterable[PreferencePair],
    limits: Limits,
    on_progress: Callable[[], None] = lambda: None,
) -> Tokenised[EncodedPair]:
    """Encode every pair."""
    texts = PromptAndResponses(encoder, limits)
    kept: list[EncodedPair] = []
    problems: list[Verdict] = []
    num_truncated = 0
    for pair in pairs:
        on_progress()
        origin = pair.origin or NOWHERE
        found = texts.encode(pair.prompt, (pair.chosen, pair.rejected), origin)
        if isinstance(found, Verdict):
            problems.append(found)
            continue
        prompt, responses = found
        chosen, rejected = (texts.sequence(prompt, response) for response in responses)
        if chosen.key == rejected.key:
            reason = f"within {limits.max_length} tokens both responses are the same"
            problems.append(Verdict("equal_after_truncation", origin, reason, _raise_or_drop(limits)))
            continue
        num_truncated += sum(len(prompt) + len(response) > limits.max_length for response in responses)
        kept.append(EncodedPair(chosen, rejected, pair.weight, pair.probability, pair.margin, origin))
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
        try:
            if isinstance(record, Document):
                pieces = _pieces(encoder.encode_document(record.text), limits.max_length)
                kept += [EncodedExample((piece,), origin) for piece in pieces]
                continue
            turns = encoder.encode_conversation(record.messages)
        except BoundaryError as error:
            problems.append(Verdict(error.code, origin, str(error), error.fix))
            continue
        found = _within(turns, encoder, limits, origin)
        if isinstance(found, Verdict):
            problems.append(found)
        else:
            kept.append(EncodedExample(found, origin))
            num_truncated += any(len(turn) > limits.max_length for turn in turns)
    return Tokenised(tuple(kept), tuple(problems), num_truncated)


def _within(
    turns: Sequence[TokenSequence], encoder: ChatEncoder, limits: Limits, origin: Origin
) -> tuple[TokenSequence, ...] | Verdict:
    """What is left of a conversation's sequences at max_length, or why nothing can be learned from it."""
    if not turns:
        return Verdict("nothing_scored", origin, "no turn of the assistant has a weight above 0", "drop the row")
    kept = tuple(cut for turn in turns if (cut := turn.cut(limits.max_length)).scored.any())
    if not kept:
        return prompt_too_long(int(turns[0].scored.argmax()), limits.max_length, origin, limits.context_length)
    if any(encoder.cuts_thinking(turn.ids.tolist(), limits.max_length) for turn in turns):
        return thinking_cut(limits, origin)
    return kept


def _pieces(ids: list[int], max_length: int) -> list[TokenSequence]:
    """Pieces of at most max_length tokens; each begins with the last token of the one before, so all are scored."""
    pieces = []
    for start in range(0, max(len(ids) - 1, 1), max_length - 1):
        piece = ids[start : start + max_length]
        if len(piece) > 1:
            pieces.append(TokenSequence.of(piece[:1], piece[1:]))
    return pieces


def thinking_cut(limits: Limits, origin: Origin) -> Verdict:
    """The verdict for a response that would be cut in the midst of its thinking."""
    reason = f"at {limits.max_length} tokens the response is cut before it ends its thinking"
    return Verdict(OpenThinkingError.code, origin, reason, _raise_or_drop(limits))


def _raise_or_drop(limits: Limits) -> str:
    at_its_end = limits.context_length is not None and limits.max_length >= limits.context_length
    return "drop the row, as the model takes no more" if at_its_end else "raise `max_length=...` or drop the row"


def prompt_too_long(length: int, limit: int, origin: Origin, context_length: int | None = None) -> Verdict:
    """The verdict for a prompt, or what stands before the first scored token, over the limit."""
    fix = "shorten the prompt, or raise `max_length=...` or `max_prompt_length=...` where the model takes more tokens"
    if context_length is not None and length >= context_length:  # one token at least is the response's
        fix = f"the model takes {context_length} tokens, prompt and response together; shorten the prompt"
    return Verdict("prompt_too_long", origin, f"the prompt has {length} tokens, the limit is {limit}", fix)

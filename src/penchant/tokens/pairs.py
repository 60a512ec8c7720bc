"""Encode preference pairs, with the truncation rule and the reporting shared by other records.

A prompt is never cut: one longer than its limit is a bad row. A response is cut at the end of the length limit, by the
same rule on both sides, and then has no end-of-turn token; cuts are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from penchant.data import Labelled, Message, Origin, PreferencePair, Response, Verdict
from penchant.tokens.chunks import encoded_in_chunks
from penchant.tokens.encoding import ChatEncoder, Text
from penchant.tokens.forest import TokenSequence, as_array
from penchant.tokens.measuring import Lengths
from penchant.tokens.refusals import OpenThinkingError

__all__ = [
    "NOWHERE",
    "EncodedPair",
    "Limits",
    "Outcome",
    "PromptAndResponses",
    "Tokenised",
    "encoded_pairs",
    "prompt_too_long",
    "thinking_cut",
    "tokenise_pairs",
]

NOWHERE = Origin(file="<memory>", line=1)
MOST_REMEMBERED = 4096
"""The number of recent prompts whose text is cached, as the next records may share them."""


@dataclass(frozen=True)
class Limits:
    """max_length: tokens of prompt and response together. max_prompt_length: tokens of the prompt alone.

    context_length: the model's, if known; a prompt that fills it fits no other limits either.
    """

    max_length: int
    max_prompt_length: int
    context_length: int | None = None


@dataclass(frozen=True, eq=False)
class EncodedPair:
    """An encoded pair; the two sequences begin with the same prompt.

    gap, name: those of the record; also None if the tokens are from the cache, which does not store them.
    """

    chosen: TokenSequence
    rejected: TokenSequence
    weight: float
    probability: float
    margin: float
    origin: Origin
    gap: float | None = None
    name: str | None = None

    @property
    def sequences(self) -> tuple[TokenSequence, TokenSequence]:
        return self.chosen, self.rejected

    @property
    def referenced(self) -> tuple[TokenSequence, TokenSequence]:
        """The sequences to be scored by the reference policy."""
        return self.sequences

    def weigh_tokens(self, weights_of: Callable[[int, int], NDArray[np.float32]]) -> EncodedPair:
        """The pair with token weights, computed from the numbers of scored tokens of both sides."""
        num_chosen, num_rejected = (int(side.scored.sum()) for side in self.sequences)
        return replace(
            self,
            chosen=self.chosen.weighted(weights_of(num_chosen, num_rejected)),
            rejected=self.rejected.weighted(weights_of(num_rejected, num_chosen)),
        )


Item = TypeVar("Item")
Row = TypeVar("Row", PreferencePair, Labelled)
Outcome: TypeAlias = tuple[tuple[Item, ...] | Verdict, int]
"""The result for a record: its items, or why it cannot be used; and the number of cut responses."""


@dataclass(frozen=True)
class Tokenised(Generic[Item]):
    """The results for records: items, verdicts of unusable ones, cut responses."""

    items: Sequence[Item]
    problems: tuple[Verdict, ...]
    num_truncated: int

    @classmethod
    def of(cls, outcomes: Iterable[Outcome[Item]]) -> Tokenised[Item]:
        """Collect the results of records."""
        items: list[Item] = []
        problems: list[Verdict] = []
        num_truncated = 0
        for found, num_cut in outcomes:
            num_truncated += num_cut
            if isinstance(found, Verdict):
                problems.append(found)
            else:
                items += found
        return cls(tuple(items), tuple(problems), num_truncated)


class PromptAndResponses(Generic[Row]):
    """Encodes prompts and responses within limits; a prompt repeated soon is rendered once.

    parts: returns a record's prompt and responses. lengths: records their lengths.
    """

    def __init__(
        self,
        encoder: ChatEncoder,
        limits: Limits,
        parts: Callable[[Row], tuple[tuple[Message, ...], Sequence[Response]]],
        lengths: Lengths | None = None,
    ) -> None:
        self.encoder = encoder
        self.limits = limits
        self._parts: Callable[[Row], tuple[tuple[Message, ...], Sequence[Response]]] = parts
        self._lengths = lengths
        self._prompts: dict[tuple[Message, ...], tuple[tuple[Message, ...], Text]] = {}

    def encode(self, records: Iterable[Row]) -> Iterator[tuple[Row, tuple[list[int], list[list[int]]] | Verdict]]:
        """Yield for every record the ids of prompt and responses, untruncated, or why it cannot be used."""
        for record, ids, error in encoded_in_chunks(self.encoder, records, self._write):
            if self._lengths is not None:
                self._lengths.add(record, ids)
            origin = record.origin or NOWHERE
            if error is not None:
                yield record, Verdict(error.code, origin, str(error), error.fix)
            else:
                prompt, *responses = ids
                yield record, self._judged(prompt, responses, origin) or (prompt, responses)

    def _write(self, record: Row) -> Iterator[Text]:
        prompt, responses = self._parts(record)
        if (known := self._prompts.get(prompt)) is None:
            known = prompt, self.encoder.write_prompt(prompt)
            if len(self._prompts) >= MOST_REMEMBERED:
                self._prompts.clear()
            self._prompts[prompt] = known
        prompt, written = known
        yield written
        for response in responses:
            yield self.encoder.write_response(prompt, response)

    def _judged(self, prompt: list[int], responses: list[list[int]], origin: Origin) -> Verdict | None:
        if len(prompt) > self.limits.max_prompt_length:
            return prompt_too_long(len(prompt), self.limits.max_prompt_length, origin, self.limits.context_length)
        room = self.limits.max_length - len(prompt)
        if any(self.encoder.cuts_thinking(response, room) for response in responses):
            return thinking_cut(self.limits, origin)
        return None

    def sequence(self, prompt: list[int], response: list[int]) -> TokenSequence:
        """The prompt and the response, cut at the limit."""
        return TokenSequence.of(prompt, response[: self.limits.max_length - len(prompt)])


def encoded_pairs(
    encoder: ChatEncoder, pairs: Iterable[PreferencePair], limits: Limits, lengths: Lengths | None = None
) -> Iterator[Outcome[EncodedPair]]:
    """Yield the result for every pair, in order. lengths: records their lengths."""
    texts = PromptAndResponses[PreferencePair](encoder, limits, lambda p: (p.prompt, (p.chosen, p.rejected)), lengths)
    for pair, found in texts.encode(pairs):
        if isinstance(found, Verdict):
            yield found, 0
            continue
        origin = pair.origin or NOWHERE
        prompt, responses = found
        room = limits.max_length - len(prompt)
        kept = [response[:room] for response in responses]
        if kept[0] == kept[1]:
            reason = f"within {limits.max_length} tokens both responses are the same"
            yield Verdict("equal_after_truncation", origin, reason, _raise_or_drop(limits)), 0
            continue
        num_cut = sum(len(response) > room for response in responses)
        read = as_array(prompt)
        chosen, rejected = (TokenSequence.of(read, response) for response in kept)
        labels = pair.weight, pair.probability, pair.margin
        yield (EncodedPair(chosen, rejected, *labels, origin, pair.gap, pair.name),), num_cut


def tokenise_pairs(encoder: ChatEncoder, pairs: Iterable[PreferencePair], limits: Limits) -> Tokenised[EncodedPair]:
    """Encode every pair."""
    return Tokenised.of(encoded_pairs(encoder, pairs, limits))


def thinking_cut(limits: Limits, origin: Origin) -> Verdict:
    """The verdict on a response that would be cut before its answer."""
    reason = f"the response is cut at {limits.max_length} tokens, in or right after its thinking, so its answer is lost"
    return Verdict(OpenThinkingError.code, origin, reason, _raise_or_drop(limits))


def _raise_or_drop(limits: Limits) -> str:
    at_its_end = limits.context_length is not None and limits.max_length >= limits.context_length
    return "drop the row, as the model takes no more tokens" if at_its_end else "raise `max_length=...` or drop the row"


def prompt_too_long(length: int, limit: int, origin: Origin, context_length: int | None = None) -> Verdict:
    """The verdict for a prompt, or what stands before the first scored token, over the limit."""
    fix = "shorten the prompt, or raise `max_length=...` or `max_prompt_length=...` where the model takes more tokens"
    if context_length is not None and length >= context_length:  # at least one token is left for the response
        fix = f"the model takes {context_length} tokens, prompt and response together; shorten the prompt"
    return Verdict("prompt_too_long", origin, f"the prompt has {length} tokens, the limit is {limit}", fix)

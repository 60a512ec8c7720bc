"""Encode labelled responses, each with a mismatched response to its prompt.

The policy's mean log-ratio on such mismatched sequences estimates how far it has moved (arXiv 2402.01306, section
4.1). The mismatches are chosen here, once, so that the reference is also scored once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from penchant.data import Labelled, Message, Origin, Verdict
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.measuring import Lengths
from penchant.tokens.pairs import NOWHERE, Limits, Outcome, PromptAndResponses, Tokenised

__all__ = ["EncodedLabelled", "encoded_labelled", "tokenise_labelled"]


@dataclass(frozen=True, eq=False)
class EncodedLabelled:
    """An encoded labelled response, and its prompt with another item's response."""

    sequence: TokenSequence
    mismatch: TokenSequence
    desirable: bool
    weight: float
    origin: Origin

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return (self.sequence,)

    @property
    def referenced(self) -> tuple[TokenSequence, TokenSequence]:
        """The sequences to be scored by the reference policy."""
        return self.sequence, self.mismatch


def tokenise_labelled(encoder: ChatEncoder, records: Iterable[Labelled], limits: Limits) -> Tokenised[EncodedLabelled]:
    """Encode every response. Truncated like pairs."""
    return Tokenised.of(encoded_labelled(encoder, records, limits, among=None))


def encoded_labelled(
    encoder: ChatEncoder,
    records: Iterable[Labelled],
    limits: Limits,
    lengths: Lengths | None = None,
    *,
    among: int | None = 8192,
) -> Iterator[Outcome[EncodedLabelled]]:
    """Yield the result for every response, in order. lengths: records their lengths.

    among: the number of items held at a time, which exchange responses; None: all.
    """
    texts = PromptAndResponses[Labelled](encoder, limits, lambda one: (one.prompt, (one.response,)), lengths)
    encoded = texts.encode(records)
    while held := list(islice(encoded, among)):
        kept = [(one, *found) for one, found in held if not isinstance(found, Verdict)]
        lenders = iter(_lenders([one.prompt for one, _, _ in kept]))
        for one, found in held:
            if isinstance(found, Verdict):
                yield found, 0
                continue
            prompt, (response,) = found
            _, _, (lent,) = kept[next(lenders)]
            item = EncodedLabelled(
                texts.sequence(prompt, response),
                texts.sequence(prompt, lent),
                one.desirable,
                one.weight,
                one.origin or NOWHERE,
            )
            yield (item,), int(len(prompt) + len(response) > limits.max_length)


def _lenders(prompts: Sequence[tuple[Message, ...]]) -> list[int]:
    """For every item, another one whose response it borrows; each lends once, to another prompt if possible.

    With equal prompts adjacent, a shift by the longest run always gives another prompt.
    """
    place = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    order = sorted(range(len(prompts)), key=lambda i: place[prompts[i]])
    step = max(Counter(prompts).values(), default=0)
    lender = {item: order[(k + step) % len(order)] for k, item in enumerate(order)}
    return [lender[i] for i in range(len(prompts))]

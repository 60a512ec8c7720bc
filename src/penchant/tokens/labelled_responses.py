"""Labelled responses as token sequences, each with a response to another prompt put to its own.

The policy's mean log-ratio on such mismatched sequences estimates how far it has moved (arXiv 2402.01306, section
4.1). Who lends whom a response is settled here, once, so that the reference is scored once too.
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
    """A labelled response ready for the model, and the same prompt with the response of another one."""

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
        """What the reference policy may be asked for."""
        return self.sequence, self.mismatch


def tokenise_labelled(encoder: ChatEncoder, records: Iterable[Labelled], limits: Limits) -> Tokenised[EncodedLabelled]:
    """Encode every response. The rule of truncation is that of pairs."""
    return Tokenised.of(encoded_labelled(encoder, records, limits, among=None))


def encoded_labelled(
    encoder: ChatEncoder,
    records: Iterable[Labelled],
    limits: Limits,
    lengths: Lengths | None = None,
    *,
    among: int | None = 8192,
) -> Iterator[Outcome[EncodedLabelled]]:
    """What becomes of every response, in order. lengths: what is told how long everything was.

    among: how many are held at a time, and lend each other their responses; all of them by None.
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
    """For every item another whose response it borrows: each lends once, to another prompt where there are enough.

    In an order where equal prompts are neighbours, a step as long as the longest run of neighbours always leaves it.
    """
    place = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    order = sorted(range(len(prompts)), key=lambda i: place[prompts[i]])
    step = max(Counter(prompts).values(), default=0)
    lender = {item: order[(k + step) % len(order)] for k, item in enumerate(order)}
    return [lender[i] for i in range(len(prompts))]

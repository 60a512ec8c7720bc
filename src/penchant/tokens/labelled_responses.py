"""Labelled responses as token sequences, each with a response to another prompt put to its own.

The policy's mean log-ratio on such mismatched sequences estimates how far it has moved (arXiv 2402.01306, section
4.1). Who lends whom a response is settled here, once, so that the reference is scored once too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from penchant.data import Labelled, Message, Origin, Verdict
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.measuring import Lengths
from penchant.tokens.pairs import NOWHERE, Limits, PromptAndResponses, Tokenised

__all__ = ["EncodedLabelled", "tokenise_labelled"]


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


def tokenise_labelled(
    encoder: ChatEncoder,
    records: Iterable[Labelled],
    limits: Limits,
    on_progress: Callable[[], None] = lambda: None,
    lengths: Lengths | None = None,
) -> Tokenised[EncodedLabelled]:
    """Encode every response. The rule of truncation is that of pairs."""
    texts = PromptAndResponses[Labelled](encoder, limits, lambda one: (one.prompt, (one.response,)), lengths)
    kept: list[tuple[Labelled, list[int], list[int]]] = []
    problems: list[Verdict] = []
    for record, found in texts.encode(records):
        on_progress()
        if isinstance(found, Verdict):
            problems.append(found)
        else:
            prompt, (response,) = found
            kept.append((record, prompt, response))
    lenders = _lenders([record.prompt for record, _, _ in kept])
    items = tuple(
        EncodedLabelled(
            texts.sequence(prompt, response),
            texts.sequence(prompt, kept[lender][2]),
            record.desirable,
            record.weight,
            record.origin or NOWHERE,
        )
        for (record, prompt, response), lender in zip(kept, lenders, strict=True)
    )
    num_truncated = sum(len(prompt) + len(response) > limits.max_length for _, prompt, response in kept)
    return Tokenised(items, tuple(problems), num_truncated)


def _lenders(prompts: Sequence[tuple[Message, ...]]) -> list[int]:
    """For every item another whose response it borrows: each lends once, to another prompt where there are enough.

    In an order where equal prompts are neighbours, a step as long as the longest run of neighbours always leaves it.
    """
    place = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    order = sorted(range(len(prompts)), key=lambda i: place[prompts[i]])
    step = max(Counter(prompts).values(), default=0)
    lender = {item: order[(k + step) % len(order)] for k, item in enumerate(order)}
    return [lender[i] for i in range(len(prompts))]

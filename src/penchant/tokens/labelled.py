"""Labelled responses as token sequences, each with a response to another prompt put to its own.

The policy's mean log-ratio on such mismatched sequences estimates how far it has moved (arXiv 2402.01306, section
4.1). Who lends whom a response is settled here, once, so that the reference is scored once too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from penchant.data import Labelled, Message, Origin, Verdict
from penchant.tokens.encoding import BoundaryError, ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.pairs import NOWHERE, Limits, Tokenised, prompt_too_long

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
) -> Tokenised[EncodedLabelled]:
    """Encode every response; each prompt is encoded once. The rule of truncation is that of pairs."""
    prompts: dict[tuple[Message, ...], list[int]] = {}
    kept: list[tuple[Labelled, list[int]]] = []
    problems: list[Verdict] = []
    num_truncated = 0
    for record in records:
        on_progress()
        origin = record.origin or NOWHERE
        try:
            if record.prompt not in prompts:
                prompts[record.prompt] = encoder.encode_prompt(record.prompt)
            response = encoder.encode_response(record.prompt, record.response)
        except BoundaryError as error:
            problems.append(
                Verdict("template_boundary", origin, str(error), "use another chat template or drop the row")
            )
            continue
        length = len(prompts[record.prompt])
        if length > limits.max_prompt_length:
            problems.append(prompt_too_long(length, limits.max_prompt_length, origin, limits.context_length))
            continue
        num_truncated += length + len(response) > limits.max_length
        kept.append((record, response))

    def sequence(record: Labelled, response: list[int]) -> TokenSequence:
        prompt = prompts[record.prompt]
        return TokenSequence.of(prompt, response[: limits.max_length - len(prompt)])

    items = tuple(
        EncodedLabelled(
            sequence(record, response),
            sequence(record, kept[lender][1]),
            record.desirable,
            record.weight,
            record.origin or NOWHERE,
        )
        for (record, response), lender in zip(kept, _lenders([record.prompt for record, _ in kept]), strict=True)
    )
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

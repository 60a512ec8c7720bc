"""Encode prompts, to be answered during training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from penchant.data import Message, Origin, Prompt, Verdict
from penchant.tokens.encoding import ChatEncoder
from penchant.tokens.forest import TokenSequence
from penchant.tokens.pairs import NOWHERE, Limits, Tokenised, prompt_too_long
from penchant.tokens.refusals import BoundaryError

__all__ = ["EncodedPrompt", "tokenise_prompts"]


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """An encoded prompt; no token of its sequence is scored. id: seeds its responses."""

    sequence: TokenSequence
    messages: tuple[Message, ...]
    id: str
    origin: Origin

    @property
    def sequences(self) -> tuple[TokenSequence]:
        return (self.sequence,)


def tokenise_prompts(encoder: ChatEncoder, prompts: Iterable[Prompt], limits: Limits) -> Tokenised[EncodedPrompt]:
    """Encode every prompt; one over its limit cannot be used."""
    kept: list[EncodedPrompt] = []
    problems: list[Verdict] = []
    for prompt in prompts:
        origin = prompt.origin or NOWHERE
        try:
            ids = encoder.encode_prompt(prompt.messages)
        except BoundaryError as error:
            problems.append(Verdict(error.code, origin, str(error), error.fix))
            continue
        if len(ids) > limits.max_prompt_length:
            problems.append(prompt_too_long(len(ids), limits.max_prompt_length, origin, limits.context_length))
            continue
        sequence = TokenSequence(np.array(ids, dtype=np.int64), np.zeros(len(ids), dtype=np.bool_))
        kept.append(EncodedPrompt(sequence, prompt.messages, prompt.id, origin))
    return Tokenised(tuple(kept), tuple(problems), 0)

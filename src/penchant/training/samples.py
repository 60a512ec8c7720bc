"""Answer the same few held-out prompts at every evaluation, so that one can read the effect of training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from penchant import ranks
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.tokens import TokenSequence

__all__ = ["FixedPrompts"]


class FixedPrompts:
    """The first `num` distinct prompts among the sequences, answered greedily with at most `max_new_tokens`."""

    def __init__(self, sequences: Iterable[TokenSequence], num: int, max_new_tokens: int) -> None:
        prompts: dict[tuple[int, ...], None] = {}
        for s in sequences if num else ():
            prompts[tuple(s.ids[: _prompt_length(s)].tolist())] = None
            if len(prompts) == num:
                break
        self.requests = [Request(ids, key=str(i)) for i, ids in enumerate(prompts)]
        self.params = SamplingParams(temperature=0.0, max_new_tokens=max_new_tokens)

    def answer(self, model: LanguageModel, step: int) -> list[dict[str, Any]]:
        """One row per prompt: step, prompt, response, its tokens, and whether the model ended it. Ranks share them."""
        room = model.context_length - self.params.max_new_tokens
        requests = ranks.dealt([r for r in self.requests if len(r.prompt_ids) <= room])
        answered = {r.key: r for rs in generate(model, requests, self.params, num_responses=1) for r in rs}
        rows: list[dict[str, Any]] = [
            {
                "step": step,
                "prompt": model.encoder.decode(request.prompt_ids).strip(),
                "response": model.encoder.decode(answered[request.key].token_ids).strip(),
                "num_tokens": len(answered[request.key].token_ids),
                "ended": answered[request.key].finished,
            }
            for request in requests
        ]
        return ranks.collect(rows)


def _prompt_length(sequence: TokenSequence) -> int:
    """The number of tokens before the first scored one; all if none is scored."""
    return int(np.argmax(sequence.scored)) if sequence.scored.any() else len(sequence)

"""Score new responses with the reference policy, token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penchant import ranks
from penchant.errors import ConfigError
from penchant.models.forward import score_forest
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.progress import Reporter
from penchant.tokens import Forest, TokenSequence, pack
from penchant.training.config import RunConfig
from penchant.training.policies import load_policy

__all__ = ["find_live_reference", "live_logprobs", "numbers_of_tokens"]


def live_logprobs(
    live: LiveReference, policy: LanguageModel, sequences: Sequence[TokenSequence], token_budget: int
) -> list[NDArray[np.float64]]:
    """The log-prob of every scored token under the reference, one array per sequence, in order; without gradient.

    Shared prompts are run once. Ranks share the work.
    """
    with live.in_place_of(policy) as model:
        return numbers_of_tokens(
            sequences, lambda forest: score_forest(model, forest), token_budget=token_budget, share=model.shares
        )


def numbers_of_tokens(
    sequences: Sequence[TokenSequence], work: Callable[[Forest], Tensor], *, token_budget: int, share: bool
) -> list[NDArray[np.float64]]:
    """Apply `work` to every scored token of a forest, (K,), without gradient: one array per sequence, in order.

    Ranks share the micro-batches, which do not depend on the number of ranks.
    """
    packed = pack([(s,) for s in sequences], token_budget, share=share)

    def made(own: Sequence[Sequence[int]]) -> Iterator[list[float]]:
        for places in own:
            with torch.no_grad():
                yield work(Forest.plant([sequences[i] for i in places], share=share)).cpu().double().tolist()

    found: list[NDArray[np.float64]] = [np.empty(0)] * len(sequences)
    for places, numbers in zip(packed, ranks.share(packed, made), strict=True):
        ends = np.cumsum([int(sequences[i].scored.sum()) for i in places])
        for i, part in zip(places, np.split(np.array(numbers, dtype=np.float64), ends[:-1]), strict=True):
            found[i] = part
    return found


def find_live_reference(
    run: RunConfig, policy: LanguageModel, reporter: Reporter, loaded: LanguageModel | None = None
) -> tuple[LiveReference, str]:
    """The reference in the settings, or `loaded`, or the current policy; and its digest.

    Raises ConfigError if its tokenizer is not the policy's.
    """
    if run.model.reference is None:
        return LiveReference() if policy.is_adapter else LiveReference.of(policy), policy.digest
    other = loaded
    if other is None:
        reporter.say(f"loading {run.model.reference}, the reference")
        other, _ = load_policy(run, run.model.reference, policy.encoder.clock, reporter)
    if policy.tokenizer.get_vocab() != other.tokenizer.get_vocab():
        raise ConfigError(
            f"model.reference: the tokenizer of {run.model.reference} is not that of {run.model.name}, so their "
            "log-probs cannot be compared; name a reference with the same tokenizer"
        )
    return LiveReference(other), other.digest

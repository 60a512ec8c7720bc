"""Forgetting: the perplexity of held-out demonstrations before and after training.

    perplexity = exp(-(sum of log p of all scored tokens) / (their number))

The ratio of the two is exp of the mean difference per token; the sampling unit is a demonstration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from penchant.data import Data, load_demonstrations
from penchant.errors import DataError
from penchant.evaluation.pair_scores import sequence_logprobs
from penchant.models.language_model import LanguageModel
from penchant.progress import Reporter, counted
from penchant.ranking.winrate import paired_means
from penchant.tokens import EncodedExample, Limits, tokenise_demonstrations

__all__ = ["Forgetting", "forgetting_of", "read_demonstrations", "token_logprobs_of"]

MAX_LENGTH = 1024


@dataclass(frozen=True)
class Forgetting:
    """Perplexities of the same demonstrations, and ratio = after / before with its 95% limits.

    A ratio above 1 is forgetting. Limits are of the log of the ratio, over demonstrations (`paired_means`); None if
    there is only one, or the ratio is the same for all. num_tokens: predicted tokens. warning: why there are no limits,
    or that demonstrations are few.
    """

    before: float
    after: float
    ratio: float
    low: float | None
    high: float | None
    num_demonstrations: int
    num_tokens: int
    warning: str | None = None


def read_demonstrations(model: LanguageModel, data: Data, reporter: Reporter) -> Sequence[EncodedExample]:
    """Encode the demonstrations for this model. Raises DataError if none can be used."""
    loaded = load_demonstrations(data, on_bad_row="drop")
    for line in loaded.remarks():
        reporter.say(line)
    longest = min(MAX_LENGTH, model.context_length)
    found = tokenise_demonstrations(model.encoder, loaded.records, Limits(longest, longest - 1, model.context_length))
    bad = [verdict for verdict in (*loaded.problems, *found.problems) if verdict.severity == "error"]
    if not found.items:
        why = str(bad[0]) if bad else "there is no row"
        raise DataError(f"`demonstrations=...`: no row can be used ({why}); give conversations or texts")
    if bad:
        reporter.say(f"left out {len(bad)} demonstrations that cannot be used, the first {bad[0]}")
    return found.items


def token_logprobs_of(
    model: LanguageModel, examples: Sequence[EncodedExample], reporter: Reporter, label: str
) -> Tensor:
    """The summed log-prob of every sequence of the examples, in order, float64."""
    return sequence_logprobs(
        model,
        [(replace(sequence, weights=None),) for example in examples for sequence in example.sequences],
        on_progress=counted(reporter, label),
    )


def forgetting_of(examples: Sequence[EncodedExample], before: Tensor, after: Tensor) -> Forgetting:
    """Compute `Forgetting` from two results of `token_logprobs_of`.

    The means of the sequences are weighted by their tokens: the jackknife, which leaves out whole demonstrations, then
    equals that of the ratio of sums.
    """
    sequences = [(str(example.origin), one) for example in examples for one in example.sequences]
    num_tokens = np.array([int(one.scored.sum()) for _, one in sequences])
    old, new = ((-side.numpy() / num_tokens).tolist() for side in (before, after))
    found = paired_means(old, new, [origin for origin, _ in sequences], weights=num_tokens.tolist())
    return Forgetting(
        before=math.exp(found.before),
        after=math.exp(found.after),
        ratio=math.exp(found.difference),
        low=None if found.low is None else math.exp(found.low),
        high=None if found.high is None else math.exp(found.high),
        num_demonstrations=found.num_prompts,
        num_tokens=int(num_tokens.sum()),
        warning=found.warning,
    )

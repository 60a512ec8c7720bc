"""The implicit rewards of a language model for both responses of a pair (arXiv 2305.18290, eq. 5).

    reward = beta (log pi(y|x) - log pi_ref(y|x)),    p(chosen > rejected) = sigmoid(reward_chosen - reward_rejected)

Shapes: B pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from penchant import ranks
from penchant.data import Origin
from penchant.evaluation.scores_of_lists import scores_of_parts
from penchant.models.forward import score_sequences
from penchant.models.language_model import LanguageModel
from penchant.objectives import PairBatch, implicit_rewards, preference_probability, row_in_table
from penchant.ranking.cautions import warning_of
from penchant.ranking.winrate import WinRate, win_rate_of
from penchant.statistics import (
    Bucket,
    Calibration,
    Estimate,
    accuracy_by_length,
    accuracy_by_margin,
    by_quarters,
    calibration,
)
from penchant.tokens import EncodedPair, TokenSequence, pack

__all__ = [
    "PairScore",
    "Summary",
    "beta_of",
    "ranked",
    "response_logprobs",
    "score_rewards",
    "sequence_logprobs",
    "summarise",
]


@dataclass(frozen=True)
class PairScore:
    """A model's scores of one pair. Log-probs in nats, summed over the response; num_tokens: those of the response.

    correct: whether chosen has the higher reward; None for a tie, which counts half in an accuracy. A reward model has
    no log-probs: they are None.
    """

    origin: Origin
    reward_chosen: float
    reward_rejected: float
    margin: float
    probability: float
    correct: bool | None
    policy_chosen: float | None
    policy_rejected: float | None
    reference_chosen: float | None
    reference_rejected: float | None
    num_tokens_chosen: int
    num_tokens_rejected: int


@dataclass(frozen=True)
class Summary:
    """accuracy: share of pairs with a margin above 0, with margins of exactly 0 counted half, and its 95% interval.

    num_prompts: distinct prompts; if there are fewer than pairs, the interval is clustered by prompt. by_length: the
    accuracy by which response is longer. by_margin: by quartiles of |margin|. by_gap: by quartiles of how much better
    the data rates the chosen response (scores, strength or margin); empty if not recorded or constant. calibration:
    whether sigmoid(margin) matches the accuracy. lists: for rows of the data that made several pairs, such as one right
    answer and three wrong ones (RewardBench 2), how often every pair is right; None if there are none. parts: their
    score by part, as RewardBench 2 counts it; see `scores_of_parts`. warning: that prompts are too few for reliable
    intervals.
    """

    accuracy: WinRate
    mean_margin: float
    mean_probability: float
    num_prompts: int
    by_length: Mapping[str, WinRate]
    by_margin: tuple[Bucket, ...]
    by_gap: tuple[Bucket, ...]
    calibration: Calibration
    lists: WinRate | None
    parts: Mapping[str, Estimate]
    warning: str | None = None


def sequence_logprobs(
    model: LanguageModel,
    items: Sequence[Sequence[TokenSequence]],
    *,
    token_budget: int = 2048,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tensor:
    """Summed log-prob of every sequence of every item, float64 on the CPU, in order; all items have equally many.

    Ranks share the micro-batches, which do not depend on the number of ranks.
    """
    width = len(items[0]) if items else 1
    packed = pack(items, token_budget, share=model.shares)

    def scored(own: Sequence[Sequence[int]]) -> Iterator[list[float]]:
        done, total = 0, sum(map(len, own))
        for indices in own:
            with torch.no_grad():
                scores = score_sequences(model, [sequence for i in indices for sequence in items[i]])
            done += len(indices)
            on_progress(done, total)
            yield scores.cpu().double().tolist()

    logprobs = torch.empty(len(items), width, dtype=torch.float64)
    for indices, scores in zip(packed, ranks.share(packed, scored), strict=True):
        logprobs[indices] = torch.tensor(scores, dtype=torch.float64).view(-1, width)
    return logprobs.view(-1)


def response_logprobs(
    model: LanguageModel,
    pairs: Sequence[EncodedPair],
    *,
    token_budget: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tensor:
    """Summed log-prob of every chosen and rejected response, (B, 2) float64 on the CPU, in the order of `pairs`."""
    sequences = [pair.sequences for pair in pairs]
    return sequence_logprobs(model, sequences, token_budget=token_budget, on_progress=on_progress).view(-1, 2)


def beta_of(ledger: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> float:
    """The beta of the run with this ledger; 0.1, which is reported, for a model of no such run."""
    settings = ledger.get("config", {}).get("dpo")
    if settings is None:
        say("beta is 0.1: this is no run of `penchant dpo`, and no `beta=...` was given")
        return 0.1
    row = row_in_table(settings["objective"])  # runs no code that only a ledger names
    return float(settings.get("beta") or ledger.get("beta") or (row.defaults.get("beta", 1.0) if row else 1.0))


def score_rewards(
    pairs: Sequence[EncodedPair], policy_B2: Tensor, reference_B2: Tensor, beta: float
) -> list[PairScore]:
    """The implicit rewards of both sides of every pair, in order, from two results of `response_logprobs`."""
    lengths_B2 = torch.tensor([[int(s.scored.sum()) for s in pair.sequences] for pair in pairs], dtype=torch.float64)
    batch = PairBatch.hard(*policy_B2.unbind(1), *reference_B2.unbind(1), *lengths_B2.unbind(1))
    chosen_B, rejected_B = implicit_rewards(batch, beta)
    probability_B = preference_probability(chosen_B, rejected_B)
    return [
        PairScore(
            origin=pair.origin,
            reward_chosen=float(chosen_B[i]),
            reward_rejected=float(rejected_B[i]),
            margin=float(chosen_B[i] - rejected_B[i]),
            probability=float(probability_B[i]),
            correct=ranked(float(chosen_B[i] - rejected_B[i])),
            policy_chosen=float(policy_B2[i, 0]),
            policy_rejected=float(policy_B2[i, 1]),
            reference_chosen=float(reference_B2[i, 0]),
            reference_rejected=float(reference_B2[i, 1]),
            num_tokens_chosen=int(lengths_B2[i, 0]),
            num_tokens_rejected=int(lengths_B2[i, 1]),
        )
        for i, pair in enumerate(pairs)
    ]


def ranked(margin: float) -> bool | None:
    """Whether a pair with this margin is ranked as people did; None for a tie."""
    return None if margin == 0 else margin > 0


def summarise(pairs: Sequence[EncodedPair], scores: Sequence[PairScore]) -> Summary:
    """Summarise the model's agreement with people. Raises ValueError if there are no pairs."""
    margins = [score.margin for score in scores]
    prompts = [pair.chosen.ids[~pair.chosen.scored].tobytes() for pair in pairs]
    right = [0.5 + 0.5 * ((m > 0) - (m < 0)) for m in margins]
    lengths = [(score.num_tokens_chosen, score.num_tokens_rejected) for score in scores]
    return Summary(
        accuracy=win_rate_of(right, prompts),
        mean_margin=sum(margins) / len(margins),
        mean_probability=sum(score.probability for score in scores) / len(scores),
        num_prompts=len(set(prompts)),
        by_length=accuracy_by_length(right, lengths, prompts),
        by_margin=accuracy_by_margin(margins, prompts),
        by_gap=_by_gap(pairs, right, prompts),
        calibration=calibration([score.probability for score in scores], prompts),
        lists=_whole_lists(scores, prompts),
        parts=scores_of_parts(pairs, [(score.reward_chosen, score.reward_rejected) for score in scores], prompts),
        warning=warning_of(len(set(prompts))),
    )


def _by_gap(pairs: Sequence[EncodedPair], right: Sequence[float], prompts: Sequence[bytes]) -> tuple[Bucket, ...]:
    gaps = [pair.gap if pair.gap is not None else pair.margin or None for pair in pairs]
    known = [(gap, *one) for gap, *one in zip(gaps, right, prompts, strict=True) if gap is not None]
    found = by_quarters(*zip(*known, strict=True)) if known else ()
    return found if len(found) > 1 else ()


def _whole_lists(scores: Sequence[PairScore], prompts: Sequence[bytes]) -> WinRate | None:
    of_row: defaultdict[Origin, list[int]] = defaultdict(list)
    for place, score in enumerate(scores):
        of_row[score.origin].append(place)
    lists = [places for places in of_row.values() if len(places) > 1]
    right = [float(all(scores[i].margin > 0 for i in places)) for places in lists]
    return win_rate_of(right, [prompts[places[0]] for places in lists]) if lists else None

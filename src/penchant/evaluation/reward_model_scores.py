"""Score pairs with a reward model, in the same form as with an implicit reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penchant.evaluation.pair_scores import PairScore, ranked
from penchant.models.reward_forward import rewards_of
from penchant.models.reward_model import RewardModel
from penchant.objectives import preference_probability
from penchant.tokens import EncodedPair

__all__ = ["reward_scores"]


def reward_scores(
    model: RewardModel,
    pairs: Sequence[EncodedPair],
    *,
    token_budget: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[PairScore]:
    """The rewards of both responses of every pair, in order."""
    import torch

    found = rewards_of(model, [pair.sequences for pair in pairs], token_budget=token_budget, on_progress=on_progress)
    chosen_B, rejected_B = torch.tensor(found, dtype=torch.float64).view(-1, 2).unbind(1)
    probability_B = preference_probability(chosen_B, rejected_B)
    return [
        PairScore(
            origin=pair.origin,
            reward_chosen=chosen,
            reward_rejected=rejected,
            margin=chosen - rejected,
            probability=probability,
            correct=ranked(chosen - rejected),
            policy_chosen=None,
            policy_rejected=None,
            reference_chosen=None,
            reference_rejected=None,
            num_tokens_chosen=int(pair.chosen.scored.sum()),
            num_tokens_rejected=int(pair.rejected.scored.sum()),
        )
        for pair, (chosen, rejected), probability in zip(pairs, found, probability_B.tolist(), strict=True)
    ]

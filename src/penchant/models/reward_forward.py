"""Compute one reward per response from a packed forest.

Shape suffixes: T packed tokens, R responses, U unique responses, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from penchant import ranks
from penchant.models.reward_model import RewardModel
from penchant.models.states import hidden_states
from penchant.tokens import Forest, TokenSequence, pack

__all__ = ["rewards_of", "rewards_of_sequences"]


def rewards_of_sequences(model: RewardModel, sequences: Sequence[TokenSequence]) -> Tensor:
    """The reward of every sequence, (R,) float32; differentiable.

    It is read at the last non-padding token, as in transformers. Shared prefixes are run once, and so is a response in
    several pairs.
    """
    unique = {sequence.key: sequence for sequence in sequences}
    forest = Forest.plant([_without_padding(one, model.pad_id) for one in unique.values()], share=model.shares)
    model.num_tokens_run += forest.num_tokens
    reward_U = model.run(lambda: _rewards(model, forest))
    place = {key: u for u, key in enumerate(unique)}
    return reward_U[[place[sequence.key] for sequence in sequences]]


def _rewards(model: RewardModel, forest: Forest) -> Tensor:
    """The reward at the end of every sequence of a forest, (U,)."""
    hidden_TH = hidden_states(model, forest)
    hidden_UH = hidden_TH.index_select(0, torch.from_numpy(forest.last_index_R).to(hidden_TH.device))
    with torch.autocast(hidden_TH.device.type, enabled=False):
        reward_U: Tensor = model.head(hidden_UH.float())[:, 0].clone()  # FSDP warns of a view
    return reward_U


def rewards_of(
    model: RewardModel,
    items: Sequence[Sequence[TokenSequence]],
    *,
    token_budget: int = 2048,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[list[float]]:
    """The rewards of every item's sequences, in order, without gradient; those of an item are run together.

    Ranks share the micro-batches, which do not depend on the number of ranks.
    """
    packed = pack(items, token_budget, share=model.shares)

    def scored(own: Sequence[Sequence[int]]) -> Iterator[list[float]]:
        done, total = 0, sum(map(len, own))
        for indices in own:
            with torch.no_grad():
                rewards = rewards_of_sequences(model, [one for i in indices for one in items[i]])
            done += len(indices)
            on_progress(done, total)
            yield rewards.tolist()

    found: list[list[float]] = [[] for _ in items]
    for indices, rewards in zip(packed, ranks.share(packed, scored), strict=True):
        each = iter(rewards)
        for i in indices:
            found[i] = [next(each) for _ in items[i]]
    return found


def _without_padding(sequence: TokenSequence, pad: int | None) -> TokenSequence:
    """The sequence up to its last non-padding token; its first token if all are padding."""
    if pad is None or sequence.ids[-1] != pad:
        return sequence
    return sequence.cut(int(np.flatnonzero(sequence.ids != pad).max(initial=0)) + 1)

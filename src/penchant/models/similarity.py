"""Measure how similar a pair's responses are to the model: training on similar pairs makes both less likely.

Shape suffixes: K scored tokens, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from penchant.errors import ConfigError
from penchant.models.language_model import LanguageModel
from penchant.models.states import score_with_states
from penchant.tokens import EncodedPair, Forest, pack

__all__ = ["ches", "ches_of_pairs", "require_states"]


def ches(chosen_KH: Tensor, rejected_KH: Tensor) -> Tensor:
    """Centred hidden embedding similarity, length-normalised; a scalar.

        CHES = <mean h+, mean h-> - ||mean h+||^2

    h: the last hidden states that predict the tokens of a response. The higher it is, the more the states of the
    rejected response align with those of the chosen one, and the more the chosen one's probability falls in training.

    Args:
        chosen_KH, rejected_KH: (K, H), with possibly different K, at least 1.

    Example:
        >>> state = torch.tensor([[1.0, 0.0]])
        >>> float(ches(state, state)), float(ches(state, -state))
        (0.0, -2.0)

    Reference:
        Razin et al. 2024, Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization,
        arXiv 2410.08847: the length-normalised CHES score.
    """
    chosen_H, rejected_H = chosen_KH.double().mean(0), rejected_KH.double().mean(0)
    return chosen_H @ rejected_H - chosen_H @ chosen_H


def require_states(model: LanguageModel) -> None:
    """Raise ConfigError for a model whose own code returns no states."""
    if not model.shares:
        raise ConfigError(
            f"CHES compares hidden states, which need shared prefixes, but {model.name} runs through its own code "
            f"({model.why_unshared}); leave CHES out"
        )


def ches_of_pairs(
    model: LanguageModel,
    pairs: Sequence[EncodedPair],
    *,
    token_budget: int = 2048,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[float]:
    """CHES of every pair, in order. Raises ConfigError for a model whose own code returns no states."""
    require_states(model)
    found = [0.0] * len(pairs)
    done = 0
    with torch.no_grad():
        for places in pack([pair.sequences for pair in pairs], token_budget):
            forest = Forest.plant([sequence for i in places for sequence in pairs[i].sequences])
            _, hidden_KH = score_with_states(model, forest)
            owner_K = torch.from_numpy(np.asarray(forest.response_of_K)).to(hidden_KH.device)
            for number, i in enumerate(places):
                chosen, rejected = (hidden_KH[owner_K == 2 * number + side].float() for side in (0, 1))
                found[i] = float(ches(chosen, rejected))
            done += len(places)
            on_progress(done, len(pairs))
    return found

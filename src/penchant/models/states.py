"""Hidden states of a forest, alone or with log-probabilities, for additional heads."""

from __future__ import annotations

import torch
from torch import Tensor

from penchant.models.forward import score_shared, shared_states
from penchant.models.language_model import LanguageModel
from penchant.tokens import Forest

__all__ = ["hidden_states", "score_with_states"]


def score_with_states(model: LanguageModel, forest: Forest) -> tuple[Tensor, Tensor]:
    """Like `score_forest`, with the states that predict the scored tokens, (K, H); the model must share prefixes."""
    assert model.shares, "its own code gives no states"
    model.num_tokens_run += forest.num_tokens
    with model.numerics.autocast():
        measures, hidden_KH = score_shared(model, forest)
    return measures.logprob_K, hidden_KH


def hidden_states(model: LanguageModel, forest: Forest) -> Tensor:
    """The last state of every packed token, (T, H); differentiable.

    A model that does not share runs sequence by sequence through its own code; the forest must then have been planted
    with share=False.
    """
    with model.numerics.autocast():
        if model.shares:
            return model.run(lambda: shared_states(model, forest))
        ids_T = torch.from_numpy(forest.input_ids_T).to(model.numerics.device)
        alone = [model.body(input_ids=ids_T[None, s.start : s.stop])[0][0] for s in forest.segments]
        return torch.cat(alone)

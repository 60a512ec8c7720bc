"""Log-probabilities beside the states that they were read from, for a head that reads these too."""

from __future__ import annotations

from torch import Tensor

from penchant.models.forward import score_shared
from penchant.models.language_model import LanguageModel
from penchant.tokens import Forest

__all__ = ["score_with_states"]


def score_with_states(model: LanguageModel, forest: Forest) -> tuple[Tensor, Tensor]:
    """As `score_forest`, and the states that predict the scored tokens, (K, H); of a model that shares prefixes."""
    assert model.shares, "its own code gives no states"
    model.num_tokens_run += forest.num_tokens
    with model.numerics.autocast():
        logp_K, _, hidden_KH = score_shared(model, forest, collision=False)
    return logp_K, hidden_KH

"""Log-probabilities of a model whose attention cannot be shared: sequence by sequence, through its own code.

Shape suffixes: T packed tokens, K scored tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from penchant.models.language_model import LanguageModel
from penchant.tokens import Forest

__all__ = ["score_one_by_one"]


def score_one_by_one(model: LanguageModel, forest: Forest) -> tuple[Tensor, Tensor]:
    """Log-prob and log sum of squared probabilities (without a gradient) for each scored token, (K,) each.

    The forest must have been planted with share=False.
    """
    device = model.numerics.device
    input_ids_T = torch.from_numpy(forest.input_ids_T).to(device)
    hidden_index_K = torch.from_numpy(forest.hidden_index_K).to(device)
    targets_K = torch.from_numpy(forest.target_ids_K).to(device)
    logprobs_K = torch.empty(len(targets_K), device=device)
    collision_K = torch.empty_like(logprobs_K)
    for segment in forest.segments:
        assert segment.parent < 0, "sequences of a model that cannot share lie side by side"
        (inside,) = torch.nonzero((hidden_index_K >= segment.start) & (hidden_index_K < segment.stop), as_tuple=True)
        logits = model.network(
            input_ids=input_ids_T[None, segment.start : segment.stop],
            use_cache=False,
            logits_to_keep=hidden_index_K[inside] - segment.start,
        ).logits[0]
        every = torch.log_softmax(logits.float(), dim=-1)
        logprobs_K = logprobs_K.index_copy(0, inside, every.gather(1, targets_K[inside, None])[:, 0])
        collision_K[inside] = torch.logsumexp(2 * every.detach(), dim=-1)
    return logprobs_K, collision_K

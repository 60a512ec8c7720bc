"""KL(policy || reference) on the policy's samples, exact per token: the sum over the whole vocabulary.

    KL = E_y sum_t KL(pi(. | x, y_<t) || pi_ref(. | x, y_<t)),    y ~ pi at temperature 1

has the mean of log pi(y|x) - log pi_ref(y|x) and a smaller variance, and is never below 0: Rao-Blackwell over the last
token of every prefix (Better Estimation of the KL Divergence Between Language Models, arXiv 2504.10637).

Shapes: R responses, K their tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from penchant import ranks
from penchant.errors import ModelError
from penchant.evaluation.predicted import Predicted, predict
from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import token_kl
from penchant.tokens import TokenSequence

__all__ = ["exact_kl", "exact_kl_from"]


def exact_kl(policy: Predicted, reference: Predicted) -> Tensor:
    """The sum of KL(policy || reference) over the prefixes of every response, float64 (R,), in nats.

    Values that rounding makes negative for nearly equal models are set to 0.

    Raises:
        ModelError: the models have vocabularies of different sizes.
    """
    if (sizes := _sizes(policy, reference))[0] != sizes[1]:
        raise ModelError(
            f"the policy has a vocabulary of {sizes[0]} tokens and the reference one of {sizes[1]}; a KL compares "
            "models of the same vocabulary, so give a reference with the policy's"
        )
    where = policy.head.weight_VH.device
    own = [
        float(token_kl(one, policy.head, other.to(where), reference.head).cpu().double().sum().clamp(min=0))
        for one, other in zip(policy.states(), reference.states(), strict=True)
    ]
    return torch.tensor(ranks.collect(own), dtype=torch.float64)


def exact_kl_from(
    policy: Predicted | str,
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Tensor | str:
    """`exact_kl` from this model, or a reason in words: no hidden states, or heads that differ in padding."""
    reference = policy if isinstance(policy, str) else predict(model, sequences, on_progress)
    if isinstance(policy, str) or isinstance(reference, str):
        return str(policy if isinstance(policy, str) else reference)
    if (sizes := _sizes(policy, reference))[0] != sizes[1]:
        return f"the policy predicts {sizes[0]} tokens and the reference {sizes[1]}, so the two cannot be compared"
    return exact_kl(policy, reference)


def _sizes(policy: Predicted, reference: Predicted) -> tuple[int, int]:
    return len(policy.head.weight_VH), len(reference.head.weight_VH)

"""KL(policy || reference) of what the policy wrote, exact in every token: the sum over the whole vocabulary.

    KL = E_y sum_t KL(pi(. | x, y_<t) || pi_ref(. | x, y_<t)),    y ~ pi at temperature 1

has the mean of log pi(y|x) - log pi_ref(y|x) and a smaller variance, and is never below 0: Rao-Blackwell over the last
token of every prefix (Better Estimation of the KL Divergence Between Language Models, arXiv 2504.10637).

Shapes: R responses, K their tokens, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.errors import ModelError
from penchant.models.forward import shared_states
from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import Head, token_kl
from penchant.objectives import sum_by_response
from penchant.tokens import Forest, TokenSequence

__all__ = ["Predicted", "exact_kl", "exact_kl_from", "predict"]


@dataclass(frozen=True)
class Predicted:
    """What a model predicts before every token of some responses: the states (K, H) on the CPU, and its head."""

    hidden_KH: Tensor
    response_of_K: Tensor
    head: Head


def predict(model: LanguageModel, sequences: Sequence[TokenSequence]) -> Predicted | None:
    """The states of these responses, one response at a time; None for a model that does not share prefixes.

    Such a model runs its own code, which gives no states.
    """
    if not model.shares:
        return None
    states, lengths = [], []
    with torch.no_grad(), model.numerics.autocast():
        for sequence in sequences:
            forest = Forest.plant([sequence])
            states.append(shared_states(model, forest)[torch.from_numpy(forest.hidden_index_K)].cpu())
            lengths.append(len(states[-1]))
    bias = model.head.bias
    head = Head(model.head.weight.detach(), None if bias is None else bias.detach(), model.logit_softcap)
    of_K = torch.arange(len(sequences)).repeat_interleave(torch.tensor(lengths))
    return Predicted(torch.cat(states), of_K, head)


def exact_kl(policy: Predicted, reference: Predicted) -> Tensor:
    """The sum of KL(policy || reference) over the prefixes of every response, float64 (R,), in nats.

    Raises:
        ModelError: the models have vocabularies of different sizes.
    """
    sizes = len(policy.head.weight_VH), len(reference.head.weight_VH)
    if sizes[0] != sizes[1]:
        raise ModelError(
            f"the policy predicts {sizes[0]} tokens and the reference {sizes[1]}; a KL needs models of one vocabulary"
        )
    device = policy.head.weight_VH.device
    kl_K = token_kl(policy.hidden_KH.to(device), policy.head, reference.hidden_KH.to(device), reference.head)
    return sum_by_response(kl_K.cpu().double(), policy.response_of_K, int(policy.response_of_K.max()) + 1)


def exact_kl_from(policy: Predicted | None, model: LanguageModel, sequences: Sequence[TokenSequence]) -> Tensor | None:
    """`exact_kl` from this model; None where one of them gives no states, or their heads differ in padding."""
    reference = None if policy is None else predict(model, sequences)
    if policy is None or reference is None or len(policy.head.weight_VH) != len(reference.head.weight_VH):
        return None
    return exact_kl(policy, reference)

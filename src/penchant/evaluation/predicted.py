"""What a model predicts before every token of some responses: kept as states, from which any distribution is made.

Shapes: R responses, K their tokens, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.evaluation.scoring import sequence_logprobs
from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import Head, token_entropy, token_logprobs
from penchant.models.states import hidden_states
from penchant.objectives import sum_by_response
from penchant.tokens import Forest, TokenSequence

__all__ = ["Predicted", "mean_entropy", "predict"]

NATS_A_TOKEN = 0.02
"""How far the log-probs made of the states may be from the model's own, where it runs its own code."""


@dataclass(frozen=True)
class Predicted:
    """The states (K, H) on the CPU, the response that each belongs to (K,), and the head that makes logits of them."""

    hidden_KH: Tensor
    response_of_K: Tensor
    head: Head

    @property
    def num_responses(self) -> int:
        """R."""
        return int(self.response_of_K.max()) + 1

    def states(self) -> Tensor:
        """The states where the head is."""
        return self.hidden_KH.to(self.head.weight_VH.device)


def predict(model: LanguageModel, sequences: Sequence[TokenSequence]) -> Predicted | str:
    """The states of these responses, one response at a time; in words why there are none.

    A model that does not share prefixes runs its own code. Where that gives no states, or the head alone does not make
    its log-probs of them, nothing can be said of its distributions.
    """
    try:
        states = _states(model, sequences)
        bias = model.head.bias
        head = Head(model.head.weight.detach(), None if bias is None else bias.detach(), model.logit_softcap)
    except (AttributeError, IndexError, KeyError, TypeError):
        if model.shares:
            raise
        return f"{model.name} runs its own code, which gives no states of tokens"
    of_K = torch.arange(len(states)).repeat_interleave(torch.tensor([len(one) for one in states]))
    found = Predicted(torch.cat(states), of_K, head)
    if not model.shares and not _makes_the_log_probs(found, model, sequences):
        return f"{model.name} runs its own code, which makes its log-probs of more than its last states and its head"
    return found


def mean_entropy(predicted: Predicted) -> Tensor:
    """The mean over every response's tokens of -sum_v p(v) log p(v), float64 (R,), in nats.

    Times the number of tokens its expectation is the entropy of the responses, by the chain rule, and it varies less
    than -log p(y|x): Rao-Blackwell, as for `exact_kl`.
    """
    entropy_K = token_entropy(predicted.states(), predicted.head).cpu().double()
    num_R = torch.bincount(predicted.response_of_K, minlength=predicted.num_responses)
    return sum_by_response(entropy_K, predicted.response_of_K, predicted.num_responses) / num_R


def _states(model: LanguageModel, sequences: Sequence[TokenSequence]) -> list[Tensor]:
    states = []
    with torch.no_grad():
        for sequence in sequences:
            forest = Forest.plant([sequence], share=model.shares)
            states.append(hidden_states(model, forest)[torch.from_numpy(forest.hidden_index_K)].cpu())
    return states


def _makes_the_log_probs(found: Predicted, model: LanguageModel, sequences: Sequence[TokenSequence]) -> bool:
    head = found.head
    targets = [torch.from_numpy(sequence.ids[sequence.scored]) for sequence in sequences]
    with torch.no_grad():
        made_K = token_logprobs(
            found.states(),
            head.weight_VH,
            torch.cat(targets).to(head.weight_VH.device),
            head.bias_V,
            softcap=head.softcap,
        )
    made_R = sum_by_response(made_K.cpu().double(), found.response_of_K, len(sequences))
    own_R = sequence_logprobs(model, [(sequence,) for sequence in sequences])
    reach_R = NATS_A_TOKEN * torch.tensor([len(one) for one in targets])
    return bool(((made_R - own_R).abs() <= reach_R).all())

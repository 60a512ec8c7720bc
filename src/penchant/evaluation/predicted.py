"""What a model predicts before every token of some responses: kept as states, from which any distribution is made.

Shapes: R responses, K their tokens, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant import ranks
from penchant.evaluation.pair_scores import sequence_logprobs
from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import Head, token_entropy, token_logprobs
from penchant.models.states import hidden_states
from penchant.tokens import Forest, TokenSequence

__all__ = ["Predicted", "mean_entropy", "predict"]

NATS_A_TOKEN = 0.02
"""How far the log-probs made of the states may be from the model's own, where it runs its own code."""


@dataclass(frozen=True)
class Predicted:
    """The states (K, H) on the CPU, the response that each belongs to (K,), and the head that makes logits of them.

    Of several ranks each has those of the responses that it is dealt; what is made of them is of all, on each.
    """

    hidden_KH: Tensor
    response_of_K: Tensor
    head: Head

    def states(self) -> list[Tensor]:
        """The states of each response, where the head is, (k, H)."""
        where = self.head.weight_VH.device
        return [part.to(where) for part in self.hidden_KH.split(torch.bincount(self.response_of_K).tolist())]


def predict(
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Predicted | str:
    """The states of these responses, one response at a time, on the rank it is dealt to; in words why there are none.

    A model that does not share prefixes runs its own code. Where that gives no states, or the head alone does not make
    its log-probs of them, nothing can be said of its distributions.
    """
    own = ranks.dealt(sequences)
    found: Predicted | str
    try:
        states = _states(model, own, on_progress)
        bias = model.head.bias
        head = Head(model.head.weight.detach(), None if bias is None else bias.detach(), model.logit_softcap)
    except (AttributeError, IndexError, KeyError, TypeError):
        if model.shares:
            raise
        found = f"{model.name} runs its own code, which gives no hidden states"
    else:
        of_K = torch.arange(len(states)).repeat_interleave(torch.tensor([len(one) for one in states], dtype=torch.long))
        found = Predicted(torch.cat(states) if states else head.weight_VH[:0].cpu(), of_K, head)
        if not model.shares and not _makes_the_log_probs(found, model, own):
            found = (
                f"{model.name} runs its own code, whose log-probs need more than the last hidden states and the head"
            )
    why = next(filter(None, ranks.gather(found if isinstance(found, str) else None)), None)
    return found if why is None else why


def mean_entropy(predicted: Predicted) -> Tensor:
    """The mean over every response's tokens of -sum_v p(v) log p(v), float64 (R,), in nats.

    Times the number of tokens its expectation is the entropy of the responses, by the chain rule, and it varies less
    than -log p(y|x): Rao-Blackwell, as for `exact_kl`.
    """
    own = [float(token_entropy(one, predicted.head).cpu().double().mean()) for one in predicted.states()]
    return torch.tensor(ranks.collect(own), dtype=torch.float64)


def _states(
    model: LanguageModel, sequences: Sequence[TokenSequence], on_progress: Callable[[int, int], None]
) -> list[Tensor]:
    states: list[Tensor] = []
    with torch.no_grad():
        for sequence in sequences:
            forest = Forest.plant([sequence], share=model.shares)
            states.append(hidden_states(model, forest)[torch.from_numpy(forest.hidden_index_K)].cpu())
            on_progress(len(states), len(sequences))
    return states


def _makes_the_log_probs(found: Predicted, model: LanguageModel, sequences: Sequence[TokenSequence]) -> bool:
    head = found.head
    with ranks.by_itself():
        own_R = sequence_logprobs(model, [(sequence,) for sequence in sequences]).tolist()
    for states_KH, sequence, own in zip(found.states(), sequences, own_R, strict=True):
        targets_K = torch.from_numpy(sequence.ids[sequence.scored]).to(head.weight_VH.device)
        with torch.no_grad():
            made_K = token_logprobs(states_KH, head.weight_VH, targets_K, head.bias_V, softcap=head.softcap)
        if not abs(float(made_K.cpu().double().sum()) - own) <= NATS_A_TOKEN * len(targets_K):
            return False
    return True

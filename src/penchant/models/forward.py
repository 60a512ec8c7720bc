"""The hot path: from a packed forest to the log-probabilities that an objective reads.

Shape suffixes: T packed tokens, K scored tokens, R responses, B pairs, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from penchant.models.attention import TreeLayout
from penchant.models.language_model import LanguageModel
from penchant.models.logprobs import token_logprobs
from penchant.objectives import PairBatch, sum_by_response
from penchant.tokens import EncodedPair, Forest, TokenSequence

__all__ = ["score_forest", "score_pairs", "score_sequences"]


def score_forest(model: LanguageModel, forest: Forest) -> Tensor:
    """Natural-log probability of each scored token, (K,) fp32 in the order of `forest.target_ids_K`; differentiable.

    Only the states that predict a scored token meet the language-model head. A model whose attention cannot be shared
    exactly (`model.shares` is False) runs sequence by sequence through its own code; the forest must then have been
    planted with share=False.
    """
    model.num_tokens_run += forest.num_tokens
    with model.numerics.autocast():
        return _shared(model, forest) if model.shares else _one_by_one(model, forest)


def score_sequences(model: LanguageModel, sequences: Sequence[TokenSequence]) -> Tensor:
    """Summed log-probability of the scored tokens of every sequence, (R,) in nats; differentiable.

    A response that stands in several pairs is run and scored once.
    """
    unique = {sequence.key: sequence for sequence in sequences}
    forest = Forest.plant(list(unique.values()), share=model.shares)
    response_of_K = torch.from_numpy(forest.response_of_K).to(model.numerics.device)
    logp_U = sum_by_response(score_forest(model, forest), response_of_K, len(unique))
    place = {key: u for u, key in enumerate(unique)}
    return logp_U[[place[sequence.key] for sequence in sequences]]


def score_pairs(model: LanguageModel, pairs: Sequence[EncodedPair], reference_R: Tensor) -> PairBatch:
    """What an objective reads of these pairs, every tensor (B,).

    reference_R: the reference's summed log-probs, chosen and rejected in turn, (2B,).
    """
    policy_R = score_sequences(model, [sequence for pair in pairs for sequence in pair.sequences])
    reference_R = reference_R.to(policy_R.device)

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=policy_R.dtype, device=policy_R.device)

    return PairBatch(
        policy_chosen_B=policy_R[0::2],
        policy_rejected_B=policy_R[1::2],
        reference_chosen_B=reference_R[0::2],
        reference_rejected_B=reference_R[1::2],
        length_chosen_B=column([float(pair.chosen.scored.sum()) for pair in pairs]),
        length_rejected_B=column([float(pair.rejected.scored.sum()) for pair in pairs]),
        weight_B=column([pair.weight for pair in pairs]),
        probability_B=column([pair.probability for pair in pairs]),
        margin_B=column([pair.margin for pair in pairs]),
    )


def _shared(model: LanguageModel, forest: Forest) -> Tensor:
    device = model.numerics.device
    hidden_TH = model.body(
        input_ids=torch.from_numpy(forest.input_ids_T).to(device)[None],
        position_ids=torch.from_numpy(forest.position_ids_T).to(device)[None],
        use_cache=False,
        layout=TreeLayout(forest, device),
    ).last_hidden_state[0]
    hidden_KH = hidden_TH.index_select(0, torch.from_numpy(forest.hidden_index_K).to(device))
    targets_K = torch.from_numpy(forest.target_ids_K).to(device)
    return token_logprobs(hidden_KH, model.head.weight, targets_K, model.head.bias, softcap=model.logit_softcap)


def _one_by_one(model: LanguageModel, forest: Forest) -> Tensor:
    device = model.numerics.device
    input_ids_T = torch.from_numpy(forest.input_ids_T).to(device)
    hidden_index_K = torch.from_numpy(forest.hidden_index_K).to(device)
    targets_K = torch.from_numpy(forest.target_ids_K).to(device)
    logprobs_K = torch.empty(len(targets_K), device=device)
    for segment in forest.segments:
        assert segment.parent < 0, "sequences of a model that cannot share lie side by side"
        (inside,) = torch.nonzero((hidden_index_K >= segment.start) & (hidden_index_K < segment.stop), as_tuple=True)
        logits = model.network(
            input_ids=input_ids_T[None, segment.start : segment.stop],
            use_cache=False,
            logits_to_keep=hidden_index_K[inside] - segment.start,
        ).logits[0]
        own = torch.log_softmax(logits.float(), dim=-1).gather(1, targets_K[inside, None])[:, 0]
        logprobs_K = logprobs_K.index_copy(0, inside, own)
    return logprobs_K

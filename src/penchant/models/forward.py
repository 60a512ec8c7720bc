"""The hot path: from a packed forest to the log-probabilities that an objective reads.

Shape suffixes: T packed tokens, K scored tokens, R responses, U unique responses, B pairs, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from penchant.models.attention import layout_of
from penchant.models.language_model import LanguageModel
from penchant.models.live_reference import LiveReference
from penchant.models.logprobs import Head, TokenMeasures, token_measures
from penchant.models.unshared import score_one_by_one
from penchant.objectives import PairBatch, sum_by_response, wpo_weight
from penchant.tokens import EncodedPair, Forest, TokenSequence

__all__ = ["score_forest", "score_pairs", "score_sequences", "score_shared", "shared_states"]


def score_forest(model: LanguageModel, forest: Forest) -> Tensor:
    """Natural-log probability of each scored token, (K,) fp32 in the order of `forest.target_ids_K`; differentiable.

    Only the states that predict a scored token pass the language-model head. A model whose attention cannot be shared
    exactly (`model.shares` is False) runs sequence by sequence through its own code; the forest must then have been
    planted with share=False.
    """
    return _score(model, forest).logprob_K


def score_sequences(model: LanguageModel, sequences: Sequence[TokenSequence]) -> Tensor:
    """Summed log-probability of the scored tokens of every sequence, (R,) in nats; differentiable.

    Tokens are weighted if a sequence has weights. A response in several pairs is run and scored once.
    """
    return _score_sequences(model, sequences)[0]


def score_pairs(
    model: LanguageModel,
    pairs: Sequence[EncodedPair],
    reference_R: Tensor,
    *,
    wpo: bool = False,
    live: LiveReference | None = None,
) -> PairBatch:
    """The objective's inputs for these pairs, every tensor (B,).

    reference_R: the reference's summed log-probs, chosen and rejected alternating, (2B,). wpo: weight every pair by its
    likelihood under the policy, see `wpo_weight`. live: the reference model, with the policy's vocabulary and prefix
    sharing, which is run for the sequential KL; without it there is none.
    """
    sequences = [sequence for pair in pairs for sequence in pair.sequences]
    policy_R, alignment_R, kl_R = _score_sequences(model, sequences, aligned=wpo, live=live)
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
        weight_B=column([pair.weight for pair in pairs]) * wpo_weight(alignment_R[0::2], alignment_R[1::2]),
        probability_B=column([pair.probability for pair in pairs]),
        margin_B=column([pair.margin for pair in pairs]),
        kl_chosen_B=None if live is None else kl_R[0::2],
        kl_rejected_B=None if live is None else kl_R[1::2],
    )


def _score_sequences(
    model: LanguageModel,
    sequences: Sequence[TokenSequence],
    *,
    aligned: bool = False,
    live: LiveReference | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-prob sums, token means of log p - log sum p^2 (0 unless `aligned`), KL sums (0 unless `live`), all (R,)."""
    unique = {sequence.key: sequence for sequence in sequences}
    forest = Forest.plant(list(unique.values()), share=model.shares)
    response_of_K = torch.from_numpy(forest.response_of_K).to(model.numerics.device)
    logp_K, collision_K, kl_K = _score(model, forest, collision=aligned, live=live)
    weight_K = 1.0 if forest.weight_K is None else torch.from_numpy(forest.weight_K).to(logp_K)
    logp_U = sum_by_response(logp_K * weight_K, response_of_K, len(unique))
    alignment_U = kl_U = torch.zeros_like(logp_U)
    if aligned:
        num_tokens_U = torch.bincount(response_of_K, minlength=len(unique))
        alignment_U = sum_by_response((logp_K - collision_K).detach(), response_of_K, len(unique)) / num_tokens_U
    if live is not None:
        kl_U = sum_by_response(kl_K * weight_K, response_of_K, len(unique))
    place = {key: u for u, key in enumerate(unique)}
    places_R = [place[sequence.key] for sequence in sequences]
    return logp_U[places_R], alignment_U[places_R], kl_U[places_R]


def _score(
    model: LanguageModel, forest: Forest, *, collision: bool = False, live: LiveReference | None = None
) -> TokenMeasures:
    """For each scored token its log-prob and, if requested, log sum of squared probabilities and KL from `live`."""
    model.require_words()
    model.num_tokens_run += forest.num_tokens
    with model.numerics.autocast():
        if model.shares:
            other = None if live is None else live.states(model, lambda one: _scored_states(one, forest))
            return score_shared(model, forest, collision=collision, reference=other)[0]
        return score_one_by_one(model, forest, None if live is None else live.logits(model, forest))


def shared_states(model: LanguageModel, forest: Forest) -> Tensor:
    """The last state of every packed token, (T, H), of a model that shares prefixes."""
    device = model.numerics.device
    hidden_TH: Tensor = model.body(
        input_ids=torch.from_numpy(forest.input_ids_T).to(device)[None],
        position_ids=torch.from_numpy(forest.position_ids_T).to(device)[None],
        use_cache=False,
        layout=layout_of(forest, device),
    ).last_hidden_state[0]
    return hidden_TH


def _scored_states(model: LanguageModel, forest: Forest) -> Tensor:
    """The states that predict the scored tokens, (K, H)."""
    hidden_TH = shared_states(model, forest)
    return hidden_TH.index_select(0, torch.from_numpy(forest.hidden_index_K).to(hidden_TH.device))


def score_shared(
    model: LanguageModel, forest: Forest, *, collision: bool = False, reference: tuple[Tensor, Head] | None = None
) -> tuple[TokenMeasures, Tensor]:
    """The measures of each scored token, see `token_measures`, and the state that predicts it."""
    return model.run(lambda: _score_shared(model, forest, collision, reference))


def _score_shared(
    model: LanguageModel, forest: Forest, collision: bool, reference: tuple[Tensor, Head] | None
) -> tuple[TokenMeasures, Tensor]:
    hidden_KH = _scored_states(model, forest)
    targets_K = torch.from_numpy(forest.target_ids_K).to(model.numerics.device)
    measures = model.read_head(
        lambda states_KH: token_measures(
            states_KH,
            Head(model.head.weight, model.head.bias, model.logit_softcap),
            targets_K,
            weight_sum_VH=model.head_gradient,
            collision=collision,
            reference=reference,
        ),
        hidden_KH,
    )
    return measures, hidden_KH

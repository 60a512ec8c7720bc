"""Test whether sharing prefixes is exact for this model, on the model itself instead of a list of names.

There are two tests. The config: a sliding window, LongRoPE, chunked or linear attention only matter for long texts, so
they are read from it. The computation: a small forest is scored with sharing, and sequence by sequence by the model's
own attention; any other difference (scaled logits, soft-capped scores, unusual positions) shows here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from penchant.errors import ModelError
from penchant.models.adapters import is_adapted
from penchant.models.attention import CannotShare
from penchant.models.forward import score_forest, score_sequences
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.reward_model import RewardModel
from penchant.models.sampler import SamplingParams
from penchant.models.states import hidden_states
from penchant.tokens.forest import Forest, TokenSequence
from penchant.wording import kind_and_reason_of

__all__ = ["FOREIGN_ERRORS", "keeps_rightly", "require_language_model", "why_unshared"]

FOREIGN_ERRORS = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
WRITTEN = 4
"""Tokens of a sampled response whose log-probs are compared with scoring."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


def require_language_model(model: LanguageModel) -> None:
    """Raise ModelError for a model that cannot score a text alone, or that is not causal."""
    one, other = _scored_alone(model, _two_endings(model))
    if not _gap(one, other) <= TOLERANCE[model.numerics.compute_dtype]:
        raise ModelError(
            f"{model.name}: the log-prob that a {type(model.causal_lm).__name__} gives to a token depends on later "
            "tokens, so it cannot write text from left to right; pass a causal language model"
        )


def why_unshared(model: LanguageModel, longest: int | None = None) -> str:
    """The reason why prefixes cannot be shared exactly in this model, or "" if they can.

    longest: tokens of the longest sequence it will see; by default, its context length.
    """
    if not isinstance(model, RewardModel) and is_adapted(model.head):
        return "its head has an adapter, which only its own code reads"
    (apart,) = _scored_alone(model, [_small_family(model)])
    if reason := _config_says(model.text_config, min(longest or model.context_length, model.context_length)):
        return reason
    try:
        return _found_by_trying(model, apart)
    except CannotShare as error:
        return str(error)
    except FOREIGN_ERRORS as error:
        return f"its code does not accept a custom attention ({type(error).__name__})"


def _found_by_trying(model: LanguageModel, apart: Tensor) -> str:
    """The difference with shared prefixes in words, or "". apart: the scores by the model's own code."""
    model.start_sharing()
    with torch.no_grad():
        shared = _read(model, Forest.plant(_small_family(model), min_shared=2))
    tolerance = TOLERANCE[model.numerics.compute_dtype]
    if not (gap := _gap(shared, apart)) <= tolerance:
        what = "states" if isinstance(model, RewardModel) else "log-probs"
        return f"its {what} with and without sharing differ by {gap:.1e}"
    if not isinstance(model, RewardModel) and not (gap := _written_otherwise(model)) <= tolerance:
        return f"its log-probs while writing from shared keys and values differ by {gap:.1e} from those while scoring"
    return ""


def keeps_rightly(model: LanguageModel) -> bool:
    """Whether a model that does not share generates from its own cache exactly as it scores."""
    try:
        return _written_otherwise(model) <= TOLERANCE[model.numerics.compute_dtype]
    except FOREIGN_ERRORS:
        return False


def _read(model: LanguageModel, forest: Forest) -> Tensor:
    """The log-probs of the scored tokens, (K,); for a reward model, the states before them along a fixed direction.

    Its own head may be new, and all zeros.
    """
    return model.run(lambda: _read_now(model, forest))


def _read_now(model: LanguageModel, forest: Forest) -> Tensor:
    if not isinstance(model, RewardModel):
        return score_forest(model, forest)
    hidden_TH = hidden_states(model, forest).float()
    direction_H = torch.from_numpy(np.random.default_rng(2).normal(size=hidden_TH.shape[1])).to(hidden_TH)
    return hidden_TH.index_select(0, torch.from_numpy(forest.hidden_index_K).to(hidden_TH.device)) @ direction_H


def _gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().mean().clamp_min(1e-6))


def _written_otherwise(model: LanguageModel) -> float:
    """The difference between log-probs of two responses at sampling and those of the same tokens scored."""
    prompt = tuple(_small_family(model)[0].ids[:12].tolist())
    params = SamplingParams(temperature=1.0, max_new_tokens=WRITTEN)
    ((one, other),) = generate(model, [Request(prompt, "checking")], params, num_responses=2)
    responses = [one, other]
    with torch.no_grad():
        scored = score_sequences(model, [TokenSequence.of(prompt, r.token_ids) for r in responses])
    return _gap(torch.tensor([r.logprob for r in responses]), scored.cpu())


def _scored_alone(model: LanguageModel, families: Sequence[Sequence[TokenSequence]]) -> list[Tensor]:
    """The readings of each family's scored tokens by the model's own code, (K,) each. Raises ModelError."""
    model.stop_sharing("checking")
    try:
        with torch.no_grad():
            return [_read(model, Forest.plant(family, share=False)) for family in families]
    except FOREIGN_ERRORS as error:
        raise ModelError(
            f"{model.name}: a {type(model.causal_lm).__name__} cannot score plain text here "
            f"({kind_and_reason_of(error)}); pass a model that only reads and writes text"
        ) from error


def _two_endings(model: LanguageModel) -> list[list[TokenSequence]]:
    """Two texts of equal length with different last tokens, all others scored, each its own family."""
    size, random = int(model.text_config.vocab_size), np.random.default_rng(1)
    begin, *ends = (random.integers(0, size, num) for num in (12, 4, 4))
    place = np.arange(16)
    return [[TokenSequence(np.concatenate([begin, end]), (place > 0) & (place < 12))] for end in ends]


def _config_says(config: Any, longest: int) -> str:
    kinds = set(getattr(config, "layer_types", None) or ())
    if strange := kinds - {"full_attention", "sliding_attention"}:
        return f"it has layers of type {', '.join(sorted(strange))}"
    if getattr(config, "attention_chunk_size", None):
        return "it uses chunked attention"
    slides = "sliding_attention" in kinds if kinds else getattr(config, "use_sliding_window", True)
    window = getattr(config, "sliding_window", None)
    if slides and window and window < longest:
        return f"its sliding window of {window} tokens is shorter than {_longest_and_advice(longest, window)}"
    if (original := _longrope_switches_at(config)) < longest:
        return (
            f"its LongRoPE gives a whole batch other frequencies once one sequence is over {original} tokens, fewer "
            f"than {_longest_and_advice(longest, original)}"
        )
    return ""


def _longest_and_advice(longest: int, limit: float) -> str:
    return (
        f"the longest sequence of {longest} (to share prefixes in training, set data.max_length, plus "
        f"save.sample_tokens if there are samples, to at most {limit})"
    )


SWITCHES_AT = "original_max_position_embeddings"
"""The default: the model's context length."""


def _longrope_switches_at(config: Any) -> float:
    """The length above which transformers switches frequencies for a whole call, or infinity."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(part for part in rope.values() if isinstance(part, dict))]  # some models have one for a layer type
    return min(
        (switch for kind in kinds if kind.get("rope_type") == "longrope" and (switch := kind.get(SWITCHES_AT))),
        default=math.inf,
    )


def _small_family(model: LanguageModel) -> list[TokenSequence]:
    """Four synthetic sequences: two share twelve tokens, one shares more with one of them, one is separate."""
    size = int(model.text_config.vocab_size)
    random = np.random.default_rng(0)

    def some(num: int) -> list[int]:
        return [int(i) for i in random.integers(0, size, num)]

    trunk, bough, other = some(12), some(5), some(9)
    return [
        TokenSequence.of(trunk, [*bough, *some(4)]),
        TokenSequence.of(trunk, [*bough, *some(7)]),
        TokenSequence.of(trunk, some(6)),
        TokenSequence.of(other, some(6)),
    ]

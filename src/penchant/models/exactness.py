"""Does sharing prefixes give this model exactly what it computes without? Asked of the model itself, not of a list.

Two questions. What its config says: a sliding window, chunked or linear attention only shows on long texts, so it is
read. What it computes: a small forest is scored shared, and sequence by sequence through the model's own attention;
anything else that differs (scaled logits, soft-capped scores, unusual positions) shows here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from penchant.models.attention import CannotShare
from penchant.models.forward import score_forest
from penchant.models.language_model import LanguageModel
from penchant.tokens.forest import Forest, TokenSequence

__all__ = ["why_unshared"]

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


def why_unshared(model: LanguageModel, longest: int | None = None) -> str:
    """The reason why prefixes cannot be shared exactly in this model, or "" if they can.

    longest: tokens of the longest sequence it will see; by default, the longest it was built for.
    """
    if reason := _config_says(model.causal_lm.config, longest or model.context_length):
        return reason
    sequences = _small_family(model)
    try:
        model.start_sharing()  # the config may have named another attention
        with torch.no_grad():
            shared = score_forest(model, Forest.plant(sequences, min_shared=2))
            model.stop_sharing("checking")
            apart = score_forest(model, Forest.plant(sequences, share=False))
    except CannotShare as error:
        return str(error)
    except (TypeError, AttributeError, RuntimeError, ValueError) as error:
        return f"its code does not accept a custom attention ({type(error).__name__})"
    finally:
        model.start_sharing()
    gap = float((shared - apart).abs().max() / apart.abs().mean().clamp_min(1e-6))
    if not gap <= TOLERANCE[model.numerics.compute_dtype]:
        return f"its log-probs with and without sharing differ by {gap:.1e}"
    return ""


def _config_says(config: Any, longest: int) -> str:
    kinds = set(getattr(config, "layer_types", None) or ())
    if strange := kinds - {"full_attention", "sliding_attention"}:
        return f"it has layers of type {', '.join(sorted(strange))}"
    if getattr(config, "attention_chunk_size", None):
        return "it uses chunked attention"
    slides = "sliding_attention" in kinds if kinds else getattr(config, "use_sliding_window", True)
    window = getattr(config, "sliding_window", None)
    if slides and window and window < longest:
        return (
            f"its sliding window of {window} tokens is shorter than the limit of {longest} (a lower --max-length helps)"
        )
    return ""


def _small_family(model: LanguageModel) -> list[TokenSequence]:
    """Four made-up sequences: two sharing twelve tokens, one of them shared further, one apart."""
    size = int(model.causal_lm.config.vocab_size)
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

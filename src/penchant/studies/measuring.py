"""Measure a model's answers to the held-out prompts, alike for every point: both rewards, and the KL from the start.

Shapes: N answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penchant.evaluation.answers import Asked, answer_as_policy
from penchant.evaluation.exact_kl import exact_kl_from
from penchant.evaluation.judges import scores_of
from penchant.evaluation.pair_scores import sequence_logprobs
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, counted
from penchant.studies.ground import Ground
from penchant.studies.points import Measured

__all__ = ["measure"]


def measure(
    name: str,
    model: LanguageModel,
    ground: Ground,
    reporter: Reporter,
    facts: Mapping[str, Any],
    held_out: Mapping[str, Any] | None = None,
) -> Measured:
    """Measure the model's own answers at temperature 1. Raises UserError if a judge fails.

    held_out: the accuracy on preferences that its training held out (`held_out_accuracy`).
    """
    config, prompts = ground.config, ground.held_out
    asked = Asked(prompts, SamplingParams(max_new_tokens=config.max_new_tokens), config.measured_responses)
    own = answer_as_policy(model, asked, reporter, f"measuring {name}")
    kl_N = exact_kl_from(own.predicted, ground.start, own.sequences, counted(reporter, f"measuring {name}, KL"))
    why_not = kl_N if isinstance(kl_N, str) else ""
    if isinstance(kl_N, str):
        kl_N = own.logprobs - sequence_logprobs(ground.start, [(sequence,) for sequence in own.sequences])
    answered = [(prompt, text) for prompt in prompts for text in own.answers.texts[prompt.id]]
    judged = [(prompt.messages, text) for prompt, text in answered]
    return Measured(
        point=name,
        facts=facts,
        prompts=tuple(prompt.id for prompt, _ in answered),
        true=tuple(scores_of(ground.judge, judged)),
        learned=tuple(scores_of(ground.learned, judged)),
        kl=tuple(kl_N.tolist()),
        tokens=tuple(int(sequence.scored.sum()) for sequence in own.sequences),
        why_no_exact_kl=why_not,
        **(held_out or {}),
    )

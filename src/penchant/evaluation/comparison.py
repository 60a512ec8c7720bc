"""Before and after: the reference and the policy answer the same held-out prompts, a judge scores both.

Also how far the policy moved from its reference: KL(policy || reference) per response, estimated on the policy's own
samples at temperature 1 as the mean of log pi(y|x) - log pi_ref(y|x), in nats (unbiased; the DPO paper's x-axis, arXiv
2305.18290, figure 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.data import Prompt, shown
from penchant.evaluation.judges import Scorer
from penchant.models.generate import Request, Response, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.ranking.winrate import paired_means, win_rate_of
from penchant.tokens import TokenSequence

__all__ = ["Answers", "answer", "compare_answers", "policy_sequences"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Answers:
    """One model's sampled responses by prompt id, `num_responses` each."""

    responses: dict[str, list[Response]]
    texts: dict[str, list[str]]


def answer(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    params: SamplingParams,
    *,
    num_responses: int,
    batch_size: int,
    on_progress: Progress = lambda _done, _total: None,
) -> Answers:
    """Sample responses to every prompt; the prompts' ids must differ."""
    assert len({prompt.id for prompt in prompts}) == len(prompts), "two prompts have one id"
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in prompts]
    found: dict[str, list[Response]] = {}
    for responses in generate(model, requests, params, num_responses=num_responses, batch_size=batch_size):
        found[responses[0].key] = responses
        on_progress(len(found), len(prompts))
    texts = {
        request.key: [model.encoder.decode_response(request.prompt_ids, r.token_ids) for r in found[request.key]]
        for request in requests
    }
    return Answers(found, texts)


def policy_sequences(model: LanguageModel, prompts: Sequence[Prompt], answers: Answers) -> list[TokenSequence]:
    """Prompt and sampled tokens of every response, in the prompts' order."""
    return [
        TokenSequence.of(model.encoder.encode_prompt(prompt.messages), response.token_ids)
        for prompt in prompts
        for response in answers.responses[prompt.id]
    ]


def compare_answers(
    prompts: Sequence[Prompt],
    before: Answers,
    after: Answers,
    judge: Scorer,
    log_ratios: np.ndarray,
    params: SamplingParams,
) -> dict[str, Any]:
    """Judge both sides response by response and summarise, as the report and `comparison.json` show it.

    log_ratios: log pi(y|x) - log pi_ref(y|x) of the policy's temperature-1 samples, in the prompts' order. Intervals
    are 95%: of the win rate by Tango's score method, for fewer comparisons where each prompt has several; of means by
    Student's t, over prompts.
    """
    pairs = []
    for prompt in prompts:
        question = shown(prompt.messages[-1])
        for a, b in zip(before.texts[prompt.id], after.texts[prompt.id], strict=True):
            pairs.append(
                {
                    "id": prompt.id,
                    "prompt": question,
                    "before": a,
                    "after": b,
                    "score_before": judge.score(question, a),
                    "score_after": judge.score(question, b),
                }
            )
    old, new = ([p[f"score_{when}"] for p in pairs] for when in ("before", "after"))
    ids = [p["id"] for p in pairs]
    credit = [0.5 + 0.5 * ((b > a) - (b < a)) for a, b in zip(old, new, strict=True)]
    rate, wins, losses = win_rate_of(credit, ids), credit.count(1.0), credit.count(0.0)
    means = paired_means(old, new, ids)
    per_prompt = len(log_ratios) // len(prompts)
    asked = [p.id for p in prompts for _ in range(per_prompt)]
    kl = paired_means([0.0] * len(log_ratios), log_ratios.tolist(), asked)
    return {
        "judge": judge.name,
        "num_prompts": len(prompts),
        "num_responses": len(pairs),
        "sampling": replace(params).__dict__,
        "mean_before": means.before,
        "mean_after": means.after,
        "difference": {"mean": means.difference, "low": means.low, "high": means.high},
        "win_rate": {
            "rate": rate.rate,
            "low": rate.low,
            "high": rate.high,
            "wins": wins,
            "losses": losses,
            "ties": len(pairs) - wins - losses,
        },
        "kl": {"mean": kl.after, "low": kl.low, "high": kl.high},
        "pairs": pairs,
    }

"""What two models answer to the same prompts, with what is needed of the newer one's answers to say how far it moved.

The policy answers first and can be given back before its reference is loaded, so that one model is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from penchant.data import Prompt
from penchant.evaluation.scoring import sequence_logprobs
from penchant.models.generate import Request, Response, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter
from penchant.tokens import TokenSequence

__all__ = ["Answers", "Asked", "OwnAnswers", "answer", "answer_as_policy", "answer_as_reference"]


@dataclass(frozen=True)
class Asked:
    """What both models are asked: prompts whose ids differ, how they sample, and how many responses to a prompt.

    batch_size: responses sampled at once.
    """

    prompts: Sequence[Prompt]
    sampling: SamplingParams
    num_responses: int = 1
    batch_size: int = 64


@dataclass(frozen=True)
class Answers:
    """One model's sampled responses by prompt id, `num_responses` each."""

    responses: dict[str, list[Response]]
    texts: dict[str, list[str]]


@dataclass(frozen=True)
class OwnAnswers:
    """What a policy answered, and its samples at temperature 1, from which the KL from its reference is estimated.

    sequences: prompt and tokens of those samples, in the prompts' order, N = prompts times responses. logprobs: log
    pi(y|x) of each, summed over the response, float64 (N,), in nats.
    """

    answers: Answers
    sequences: tuple[TokenSequence, ...]
    logprobs: torch.Tensor


def answer(model: LanguageModel, asked: Asked, reporter: Reporter, label: str) -> Answers:
    """Sample responses to every prompt. label: what progress is called."""
    prompts = asked.prompts
    assert len({prompt.id for prompt in prompts}) == len(prompts), "two prompts have one id"
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in prompts]
    found: dict[str, list[Response]] = {}
    reporter.progress(label, 0, len(prompts), {})
    for responses in generate(
        model, requests, asked.sampling, num_responses=asked.num_responses, batch_size=asked.batch_size
    ):
        found[responses[0].key] = responses
        reporter.progress(label, len(found), len(prompts), {})
    texts = {
        request.key: [model.encoder.decode_response(request.prompt_ids, r.token_ids) for r in found[request.key]]
        for request in requests
    }
    return Answers(found, texts)


def answer_as_policy(model: LanguageModel, asked: Asked, reporter: Reporter, label: str = "policy") -> OwnAnswers:
    """Answer as `asked` says, and once more at temperature 1 where that is another distribution."""
    exact = SamplingParams(1.0, 1.0, 0, asked.sampling.max_new_tokens, asked.sampling.seed)
    answers = own = answer(model, asked, reporter, label)
    if asked.sampling != exact:
        own = answer(model, replace(asked, sampling=exact), reporter, f"{label} at temperature 1")
    sequences = tuple(
        TokenSequence.of(model.encoder.encode_prompt(prompt.messages), response.token_ids)
        for prompt in asked.prompts
        for response in own.responses[prompt.id]
    )
    return OwnAnswers(answers, sequences, _logprobs(model, sequences))


def answer_as_reference(
    model: LanguageModel, asked: Asked, own: OwnAnswers, reporter: Reporter, label: str = "reference"
) -> tuple[Answers, torch.Tensor]:
    """The reference's answers, and log pi(y|x) - log pi_ref(y|x) of the policy's samples in `own`, float64 (N,)."""
    return answer(model, asked, reporter, label), own.logprobs - _logprobs(model, own.sequences)


def _logprobs(model: LanguageModel, sequences: Sequence[TokenSequence]) -> torch.Tensor:
    return sequence_logprobs(model, [(sequence,) for sequence in sequences])

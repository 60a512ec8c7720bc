"""Sample two models' answers to the same prompts, with what is needed to measure the policy's KL from the reference.

The policy answers first and can be freed before its reference is loaded, so that only one model is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from penchant import ranks
from penchant.data import Prompt
from penchant.evaluation.pair_scores import sequence_logprobs
from penchant.evaluation.predicted import Predicted, mean_entropy, predict
from penchant.models.generate import Request, Response, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, counted
from penchant.tokens import TokenSequence

__all__ = ["Answers", "Asked", "OwnAnswers", "answer", "answer_as_policy", "answer_as_reference"]


@dataclass(frozen=True)
class Asked:
    """The questions for both models: prompts with unique ids, sampling settings, and responses per prompt.

    batch_size: responses sampled at once. predicts: whether to keep the next-token distributions too, from which the
    entropy and the exact KL are computed; this takes another pass over the answers.
    """

    prompts: Sequence[Prompt]
    sampling: SamplingParams
    num_responses: int = 1
    batch_size: int = 64
    predicts: bool = True


@dataclass(frozen=True)
class Answers:
    """One model's answers by prompt id, the same number for each; unknown properties are empty.

    num_tokens: of each answer. finished: whether the model ended it. entropy: next-token entropy, the mean over
    an answer's tokens, in nats (`mean_entropy`).
    """

    texts: Mapping[str, Sequence[str]]
    num_tokens: Mapping[str, Sequence[int]] = field(default_factory=dict)
    finished: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    entropy: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnAnswers:
    """A policy's answers, and its samples at temperature 1, which estimate the KL from its reference.

    sequences: prompt and tokens of those samples, in the prompts' order, N = prompts times responses. logprobs: log
    pi(y|x) of each, summed over the response, float64 (N,), in nats. predicted: its distributions there, or why
    they are unknown.
    """

    answers: Answers
    sequences: tuple[TokenSequence, ...]
    logprobs: torch.Tensor
    predicted: Predicted | str


def answer(model: LanguageModel, asked: Asked, reporter: Reporter, label: str) -> Answers:
    """Sample responses to every prompt. label: name of the progress bar."""
    found = _sampled(model, asked, reporter, label)
    return _told(model, asked, found, _predicted(model, asked, _sequences(model, asked, found), reporter, label))


def answer_as_policy(model: LanguageModel, asked: Asked, reporter: Reporter, label: str = "policy") -> OwnAnswers:
    """Answer as `asked` specifies, and again at temperature 1 if that is another distribution."""
    exact = SamplingParams(1.0, 1.0, 0, asked.sampling.max_new_tokens, asked.sampling.seed)
    is_own = asked.sampling == exact
    named = label if is_own else f"{label} at temperature 1"
    own = _sampled(model, replace(asked, sampling=exact), reporter, named)
    sequences = _sequences(model, asked, own)
    predicted = _predicted(model, asked, sequences, reporter, named)
    answers = _told(model, asked, own, predicted) if is_own else answer(model, asked, reporter, label)
    return OwnAnswers(answers, sequences, _logprobs(model, sequences, reporter, named), predicted)


def answer_as_reference(
    model: LanguageModel, asked: Asked, own: OwnAnswers, reporter: Reporter, label: str = "reference"
) -> tuple[Answers, torch.Tensor]:
    """The reference's answers, and log pi(y|x) - log pi_ref(y|x) of the policy's samples in `own`, float64 (N,)."""
    return answer(model, asked, reporter, label), own.logprobs - _logprobs(model, own.sequences, reporter, label)


def _predicted(
    model: LanguageModel, asked: Asked, sequences: Sequence[TokenSequence], reporter: Reporter, label: str
) -> Predicted | str:
    if not asked.predicts:
        return "it was not asked for"
    return predict(model, sequences, counted(reporter, f"{label}, next tokens"))


def _sampled(model: LanguageModel, asked: Asked, reporter: Reporter, label: str) -> dict[str, list[Response]]:
    prompts = asked.prompts
    assert len({prompt.id for prompt in prompts}) == len(prompts), "two prompts have one id"
    requests = [Request(tuple(model.encoder.encode_prompt(p.messages)), p.id) for p in prompts]

    def answered(own: Sequence[Request]) -> list[list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        reporter.progress(label, 0, len(own), {})
        for responses in generate(
            model, own, asked.sampling, num_responses=asked.num_responses, batch_size=asked.batch_size
        ):
            found[responses[0].key] = [response.as_dict() for response in responses]
            reporter.progress(label, len(found), len(own), {})
        return [found[request.key] for request in own]

    every = ranks.share(requests, answered)
    return {p.id: [Response.of(one) for one in responses] for p, responses in zip(prompts, every, strict=True)}


def _sequences(
    model: LanguageModel, asked: Asked, found: Mapping[str, Sequence[Response]]
) -> tuple[TokenSequence, ...]:
    """The sequences of prompt and response, in the prompts' order."""
    return tuple(
        TokenSequence.of(model.encoder.encode_prompt(prompt.messages), response.token_ids)
        for prompt in asked.prompts
        for response in found[prompt.id]
    )


def _told(
    model: LanguageModel, asked: Asked, found: Mapping[str, Sequence[Response]], predicted: Predicted | str
) -> Answers:
    """Summarise these responses in words."""
    entropies = {} if isinstance(predicted, str) else _entropies(found, asked, predicted)
    texts = {}
    for prompt in asked.prompts:
        ids = tuple(model.encoder.encode_prompt(prompt.messages))
        texts[prompt.id] = [model.encoder.decode_response(ids, one.token_ids) for one in found[prompt.id]]
    return Answers(
        texts,
        {key: [len(one.token_ids) for one in responses] for key, responses in found.items()},
        {key: [one.finished for one in responses] for key, responses in found.items()},
        entropies,
    )


def _entropies(found: Mapping[str, Sequence[Response]], asked: Asked, predicted: Predicted) -> dict[str, list[float]]:
    values = iter(mean_entropy(predicted).tolist())
    return {prompt.id: [next(values) for _ in found[prompt.id]] for prompt in asked.prompts}


def _logprobs(model: LanguageModel, sequences: Sequence[TokenSequence], reporter: Reporter, label: str) -> torch.Tensor:
    of = [(sequence,) for sequence in sequences]
    return sequence_logprobs(model, of, on_progress=counted(reporter, f"{label}, log-probs"))

"""Measure the KL of the policy from its reference on the policy's own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from penchant.models.forward import score_sequences
from penchant.models.generate import Request, generate
from penchant.models.language_model import LanguageModel
from penchant.models.sampler import SamplingParams
from penchant.tokens import TokenSequence
from penchant.training.config import RunConfig

__all__ = ["OnPolicyKL"]

NUM_ANSWERS = 8
"""Samples per prompt: the standard error of its mean log-ratio falls with their square root."""


@dataclass(frozen=True)
class OnPolicyKL:
    """KL(policy || reference) by Monte Carlo: the mean of log pi(y|x) - log pi_ref(y|x) over y drawn from the policy.

    reference: the weights before training; empty for an adapter, which can be switched off. Every evaluation uses the
    same random numbers, so that only the policy changes.
    """

    requests: Sequence[Request]
    params: SamplingParams
    reference: Mapping[str, Tensor]

    @classmethod
    def of(cls, config: RunConfig, model: LanguageModel, requests: Sequence[Request]) -> OnPolicyKL | None:
        """The measure of a run; None if no KL budget is set, or there is no prompt to answer."""
        if config.alarms.kl_over_budget is None or not requests:
            return None
        start = {} if model.is_adapter else dict(model.network.named_parameters())
        params = SamplingParams(temperature=1.0, max_new_tokens=config.save.sample_tokens, seed=config.seed)
        room = model.context_length - params.max_new_tokens
        fitting = [request for request in requests if len(request.prompt_ids) <= room]
        return cls(fitting, params, {name: weight.detach().clone() for name, weight in start.items()})

    def measure(self, model: LanguageModel) -> float:
        """The KL in nats per response, limited to as many tokens as the answers to the fixed prompts."""
        prompts = {request.key: request.prompt_ids for request in self.requests}
        reference = model.with_weights(self.reference) if self.reference else model.as_reference()
        sequences = [
            [TokenSequence.of(prompts[answer.key], answer.token_ids) for answer in answers]
            for answers in generate(model, self.requests, self.params, num_responses=NUM_ANSWERS)
        ]
        with torch.no_grad():
            policy = [score_sequences(model, of_prompt) for of_prompt in sequences]
            with reference:
                log_ratios = [p - score_sequences(model, one) for p, one in zip(policy, sequences, strict=True)]
        return float(torch.cat(log_ratios).double().mean())

"""A language model behind an OpenAI-compatible endpoint as the author of answers, with concurrency and retries."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from penchant.data import Message, Prompt, Source
from penchant.errors import ConfigError
from penchant.evaluation.authors import Answers, sampled_by
from penchant.evaluation.judges.chat_completions import SAMPLED, Endpoint, Refused, Reply
from penchant.evaluation.judges.concurrent_calls import call_concurrently
from penchant.models.sampler import SamplingParams

__all__ = ["CONCURRENCY", "TIMEOUT", "EndpointAuthor", "open_endpoint"]

CONCURRENCY, TIMEOUT = 16, 120.0
ATTEMPTS = 3
"""The most retries of an answer that repeats another one to its prompt."""

REFUSED_AT_FIRST = 8
"""If this many prompts are refused and none answered, the prompts are not to blame."""


@dataclass(frozen=True)
class EndpointAuthor:
    """concurrency: prompts requested concurrently."""

    endpoint: Endpoint
    params: SamplingParams
    concurrency: int = CONCURRENCY

    @property
    def source(self) -> Source:
        """The model and the address, and the sampling settings."""
        return sampled_by(f"{self.endpoint.model} at {self.endpoint.base}", self.params)

    def answers(self, prompts: Sequence[Prompt], num_responses: int) -> Iterator[tuple[Prompt, Answers]]:
        """Yield answers; a refused prompt has no answers and a reason, as others may be answered.

        Raises ConfigError if the first prompts, or all, are refused, and if the server does not answer.
        """
        num_refused, is_answered = 0, False
        with closing(call_concurrently(partial(self._answer, num_responses), prompts, self.concurrency)) as found:
            for place, answers in found:
                num_refused += bool(answers.refused)
                is_answered |= not answers.refused
                if not is_answered and num_refused == min(REFUSED_AT_FIRST, len(prompts)):
                    where = prompts[place].origin or f"prompt {prompts[place].id}"
                    raise ConfigError(
                        f"{self.endpoint.base}: the server refused the prompt {where} ({answers.refused}) and answered "
                        f"none of the {num_refused} prompts asked; check which model and settings it accepts"
                    )
                yield prompts[place], answers

    def _answer(self, num_responses: int, prompt: Prompt, stop: threading.Event) -> Answers:
        replies: list[Reply] = []
        identical = False
        try:
            for index in range(num_responses):
                for attempt in range(ATTEMPTS + 1 if self.params.temperature > 0 else 1):
                    reply = self._reply(prompt, index, attempt, stop)
                    is_new = reply.text not in (other.text for other in replies)
                    if is_new:
                        break
                identical |= not is_new
                replies.append(reply)
        except Refused as refusal:
            return Answers((), (), (), refused=refusal.why)
        return Answers(
            tuple(reply.text for reply in replies),
            tuple(reply.num_tokens for reply in replies),
            tuple(reply.finished for reply in replies),
            identical,
        )

    def _reply(self, prompt: Prompt, index: int, attempt: int, stop: threading.Event) -> Reply:
        params = self.params
        settings: dict[str, Any] = {
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_new_tokens,
            "seed": _seed(params.seed, prompt.id, index, attempt),
        }
        if params.top_k:
            settings["top_k"] = params.top_k  # not part of OpenAI's API, but many servers read it
        return self.endpoint.ask([_spoken(message) for message in prompt.messages], settings, stop)


def open_endpoint(
    address: str,
    model: str | None,
    params: SamplingParams,
    *,
    concurrency: int | None = None,
    timeout: float | None = None,
) -> EndpointAuthor:
    """Open the model of this name at an address; the key is read from the environment. Raises ConfigError."""
    if not model:
        raise ConfigError("`endpoint_model=...` is missing; name the model to ask at the endpoint")
    for name, value in (("concurrency", concurrency), ("timeout", timeout)):
        if value is not None and not value > 0:
            raise ConfigError(f"`{name}=...` must be above 0, got {value}")
    endpoint = Endpoint(address, model, os.environ.get(SAMPLED.key), timeout or TIMEOUT, SAMPLED)
    return EndpointAuthor(endpoint, params, concurrency or CONCURRENCY)


def _seed(seed: int, prompt_id: str, index: int, attempt: int) -> int:
    """A 31-bit seed for one answer, independent of concurrent requests; servers repeat answers of equal seeds."""
    name = f"{seed}\0{prompt_id}\0{index}\0{attempt}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def _spoken(message: Message) -> dict[str, Any]:
    return {name: value for name, value in message.model_dump().items() if name != "weight"}

"""Sampling many responses to many prompts.

Models that share prefixes generate in a continuous batch; others use their own code, prompt by prompt. Both draw the
same tokens from the same probabilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from penchant.errors import ConfigError
from penchant.models.continuous_batch import ContinuousBatch
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job, Request, Response
from penchant.models.sampler import SamplingParams
from penchant.models.unshared import OneByOne

__all__ = ["Progress", "Request", "Response", "Writer", "generate", "open_writer", "writer_for"]

Progress = Callable[[int, int], None]
Writer: TypeAlias = ContinuousBatch | OneByOne
"""Generates responses step by step: `step`, `rows` and `drop`."""


def generate(
    model: LanguageModel,
    requests: Iterable[Request],
    params: SamplingParams,
    *,
    num_responses: int = 2,
    batch_size: int = 64,
    on_progress: Progress = lambda num_requests, num_tokens: None,
) -> Iterator[list[Response]]:
    """Yield the responses to each prompt, ordered by index, as soon as all of them are finished.

    batch_size: responses generated at a time; all of a prompt's start together, so num_responses of them always fit.
    on_progress: called after every step with the finished prompts and the tokens sampled so far. Up to rounding in
    matrix products, a response depends on the model, its prompt, key, index and attempt, and on `params`: not on the
    batch size, nor on the other prompts or their order. Raises ConfigError for an invalid setting, and ModelError for a
    prompt that leaves no room in the model's context, before anything is sampled.
    """
    if requests:
        model.require_words()
    for name, value in (("num_responses", num_responses), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    jobs = [Job.of(model, request, params, num_responses) for request in requests]
    return _write(model, jobs, batch_size, on_progress)


def writer_for(model: LanguageModel, jobs: Sequence[Job], batch_size: int) -> Writer:
    """The generator for these jobs, `batch_size` responses at a time, but at least one prompt's."""
    num_responses = [len(job.indices) for job in jobs]
    size = max(min(batch_size, sum(num_responses)), *num_responses)
    return open_writer(model, size, max(len(job.prompt) + job.limit for job in jobs))


def open_writer(model: LanguageModel, size: int, longest: int) -> Writer:
    """The generator of `size` responses at a time, each with at most `longest` tokens including the prompt."""
    return ContinuousBatch(model, size, longest) if model.shares else OneByOne(model)


def _write(model: LanguageModel, jobs: list[Job], batch_size: int, on_progress: Progress) -> Iterator[list[Response]]:
    if not jobs:
        return
    waiting, writer = deque(jobs), writer_for(model, jobs, batch_size)
    num_finished = num_tokens = 0
    while waiting or writer.rows:
        rows = writer.step(waiting)
        num_tokens += len(rows) + len(writer.rows)
        finished = list(dict.fromkeys(row.job for row in rows if row.job.is_done))
        num_finished += len(finished)
        on_progress(num_finished, num_tokens)
        for job in finished:
            yield job.responses()

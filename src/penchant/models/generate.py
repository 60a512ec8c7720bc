"""Sampling many responses to many prompts.

Models that share prefixes write their responses in a continuous batch; others go through their own code, prompt by
prompt. Both draw the same tokens from the same probabilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from penchant.errors import ConfigError
from penchant.models.continuous_batch import ContinuousBatch
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job, Request, Response
from penchant.models.sampler import SamplingParams
from penchant.models.unshared import write_one_by_one

__all__ = ["Progress", "Request", "Response", "generate"]

Progress = Callable[[int, int], None]


def generate(
    model: LanguageModel,
    requests: Iterable[Request],
    params: SamplingParams,
    *,
    num_responses: int = 2,
    batch_size: int = 64,
    on_progress: Progress = lambda num_requests, num_tokens: None,
) -> Iterator[list[Response]]:
    """The responses to each prompt, ordered by index, as soon as all of them are finished.

    batch_size: responses written at a time; all of a prompt's start together, so num_responses of them always fit.
    on_progress: called after every step with the prompts finished and the tokens sampled so far. Up to the rounding of
    matrix products, a response depends on the model, its prompt, key, index and attempt, and on `params`: not on the
    batch size, nor on the other prompts or their order. Raises ConfigError for a setting that means nothing, and
    ModelError for a prompt that leaves no room in the model's context, before anything is sampled.
    """
    if requests:
        model.require_words()
    for name, value in (("num_responses", num_responses), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} is at least 1, got {value}; pass how many are wanted")
    jobs = [Job.of(model, request, params, num_responses) for request in requests]
    write = _write_together if model.shares else _write_one_by_one
    return write(model, jobs, params, batch_size, on_progress)


def _write_together(
    model: LanguageModel, jobs: list[Job], params: SamplingParams, batch_size: int, on_progress: Progress
) -> Iterator[list[Response]]:
    if not jobs:
        return
    waiting, batch = deque(jobs), ContinuousBatch(model, jobs, params, batch_size)
    num_finished = num_tokens = 0
    while waiting or batch.num_rows:
        finished = batch.step(waiting)
        num_finished += len(finished)
        num_tokens += batch.num_sampled
        on_progress(num_finished, num_tokens)
        for job in finished:
            yield job.responses()


def _write_one_by_one(
    model: LanguageModel, jobs: list[Job], params: SamplingParams, batch_size: int, on_progress: Progress
) -> Iterator[list[Response]]:
    """For models whose attention cannot be shared: one prompt at a time through their own code and cache."""
    num_tokens = 0
    for num_finished, job in enumerate(jobs, start=1):
        for _ in write_one_by_one(model, job, params):
            pass
        num_tokens += sum(len(response.token_ids) for response in job.done)
        on_progress(num_finished, num_tokens)
        yield job.responses()

"""Sampling many responses to many prompts.

Models that share prefixes write their responses in a continuous batch; others go through their own code, prompt by
prompt. Both draw the same tokens from the same probabilities.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from penchant.errors import ConfigError
from penchant.models.continuous_batch import ContinuousBatch
from penchant.models.language_model import LanguageModel
from penchant.models.requests import Job, Request, Response
from penchant.models.sampler import SamplingParams, sample

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
        _write(model, job, params)
        num_tokens += sum(len(response.token_ids) for response in job.done)
        on_progress(num_finished, num_tokens)
        yield job.responses()


@torch.inference_mode()
def _write(model: LanguageModel, job: Job, params: SamplingParams) -> None:
    """All responses of one prompt side by side; they are equally long at every step, so there is no padding."""
    device, num = model.numerics.device, len(job.indices)
    uniforms_R = torch.from_numpy(np.stack([job.uniforms(index, params) for index in job.indices]))
    feed = torch.from_numpy(job.prompt).to(device).expand(num, -1)
    tokens: list[list[int]] = [[] for _ in job.indices]
    logprobs, open_rows, past = [0.0] * num, set(range(num)), None
    for count in range(job.limit):
        with model.numerics.autocast():
            out = model.network(input_ids=feed, past_key_values=past, use_cache=True, logits_to_keep=1)
        past = out.past_key_values
        model.num_tokens_run += feed.numel()
        token_R, logprob_R = sample(out.logits[:, -1], uniforms_R[:, count], params)
        for row in sorted(open_rows):
            tokens[row].append(int(token_R[row]))
            logprobs[row] += float(logprob_R[row])
            ended = tokens[row][-1] in model.encoder.end_ids
            if ended or count + 1 == job.limit:
                job.finish(job.indices[row], tokens[row], ended, logprobs[row])
                open_rows.remove(row)
        if not open_rows:
            return
        feed = token_R[:, None].to(device)

"""Responses to prompts: of a model that is loaded here, or of one behind an endpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penchant.api.answers import Prompts, load, prompts_of
from penchant.data import Prompt
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.evaluation.authors import Author, ModelAuthor
from penchant.evaluation.candidates import Samples, sample_prompts, sample_to_file
from penchant.evaluation.endpoint_author import open_endpoint
from penchant.files import require_place
from penchant.models.numerics import computing
from penchant.models.requests import refuse_long_prompts
from penchant.models.sampler import SamplingParams
from penchant.progress import Reporter, reporter_of
from penchant.training.given import ModelLike

__all__ = ["sample"]


def sample(
    model: ModelLike | None,
    prompts: Prompts,
    *,
    num_responses: int = 2,
    temperature: float = 0.8,
    top_p: float = 1.0,
    top_k: int = 0,
    max_new_tokens: int = 256,
    max_prompts: int | None = None,
    columns: Columns | None = None,
    format: str | None = None,
    batch_size: int = 64,
    seed: int = 0,
    endpoint: str | None = None,
    endpoint_model: str | None = None,
    concurrency: int | None = None,
    timeout: float | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | Reporter = True,
) -> Samples:
    """Responses to prompts, every two of them a comparison that waits for an answer (`Samples.comparisons`).

    Args:
        model: see `load`; None where an endpoint answers.
        prompts: a list of texts, a file, "everyday-train" or "everyday-test", or records.
        num_responses: to each prompt.
        temperature, top_p, top_k, max_new_tokens, seed: how they are drawn; 0 takes the likeliest token.
        columns, format: of the prompts, see `penchant.data.load_prompts`.
        endpoint, endpoint_model: the address of an OpenAI-compatible server, and what it calls its model; the key is
            read from PENCHANT_ENDPOINT_KEY. concurrency: prompts asked at once, 16. timeout: seconds of silence, 120.
        output: JSON lines to write as well, which `resume=True` goes on with; all of that file is returned.

    Raises:
        UserError: a prompt, setting, model or place that cannot be used.
    """
    if resume and output is None:
        raise ConfigError("resume goes on with a file; name it: `output=...`")
    for name, value, least in (
        ("num_responses", num_responses, 1),
        ("max_new_tokens", max_new_tokens, 1),
        ("top_k", top_k, 0),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} is a whole number from {least}, got {value!r}")
    reporter = reporter_of(progress)
    params = SamplingParams(temperature, top_p, top_k, max_new_tokens, seed)
    author = _at_endpoint(model, endpoint, endpoint_model, params, concurrency=concurrency, timeout=timeout)
    asked = prompts_of(prompts, max_prompts, reporter, columns=columns, format=format)
    if output is not None:
        require_place(Path(output))
    how: dict[str, Any] = {"num_responses": num_responses}
    how["on_progress"] = lambda done, total: reporter.progress("sampling", done, total, {})
    if author is not None:
        return _sampled(author, asked, output, resume, how)
    loaded = load(model, progress=reporter)  # type: ignore[arg-type]  # of None it says what to give
    with computing():
        loaded.numerics.take_up()
        refuse_long_prompts(loaded, asked)
        return _sampled(ModelAuthor(loaded, params, batch_size), asked, output, resume, how)


def _at_endpoint(
    model: ModelLike | None, endpoint: str | None, name: str | None, params: SamplingParams, **how: Any
) -> Author | None:
    if endpoint is None:
        for option, value in (("endpoint_model", name), *how.items()):
            if value is not None:
                raise ConfigError(f"`{option}=...` is for an endpoint, and there is none; leave it out")
        return None
    if model is not None:
        raise ConfigError("a model and `endpoint=...` are both given; sample from one and then from the other")
    return open_endpoint(endpoint, name, params, **how)


def _sampled(
    author: Author,
    asked: Sequence[Prompt],
    output: str | os.PathLike[str] | None,
    resume: bool,
    how: Mapping[str, Any],
) -> Samples:
    if output is None:
        return sample_prompts(author, asked, **how)
    done = sample_to_file(author, asked, Path(output), resume=resume, **how)
    rows = map(json.loads, Path(output).read_text(encoding="utf-8").splitlines())
    return Samples(tuple(rows), done.num_identical, done.num_tokens, done.num_refused)

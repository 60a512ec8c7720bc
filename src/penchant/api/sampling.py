"""Sample responses to prompts from a loaded model or from a model behind an endpoint."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.api.given import Prompts, prompts_of
from penchant.data import Prompt
from penchant.data.read_as import Columns
from penchant.errors import ConfigError
from penchant.evaluation.sample_lines import found_in
from penchant.evaluation.samples import Samples
from penchant.files import require_place
from penchant.numbers_given import require_whole
from penchant.progress import Reporter, counted, reporter_of
from penchant.tokens import special_tokens_of

if TYPE_CHECKING:
    from penchant.evaluation.authors import Author
    from penchant.models.language_model import LanguageModel
    from penchant.models.sampler import SamplingParams
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
    batch_size: int | None = None,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    chat_template: str | None = None,
    special_tokens: str | None = None,
    endpoint: str | None = None,
    endpoint_model: str | None = None,
    concurrency: int | None = None,
    timeout: float | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | Reporter = True,
) -> Samples:
    """Sample responses to prompts; every two of them form an unanswered comparison (`Samples.comparisons`).

    Args:
        model: see `load`; None where an endpoint answers.
        prompts: a list of texts, a file, "everyday-train" or "everyday-test", or records.
        num_responses: responses per prompt.
        max_prompts: the most prompts, from the start; None: all.
        temperature, top_p, top_k, max_new_tokens, seed: sampling options; temperature 0 takes the likeliest token.
        columns, format: of the prompts, see `penchant.data.load_prompts`.
        batch_size: responses sampled at once, 64.
        device, dtype, chat_template, special_tokens: for loading a model given by name, see `load`.
        endpoint, endpoint_model: the address of an OpenAI-compatible server, and its name of the model; the key is
            read from PENCHANT_ENDPOINT_KEY. concurrency: prompts asked at once, 16. timeout: seconds of silence, 120.
        output: JSON lines to write as well; `resume=True` continues such a file. All of the file is returned.
        progress: see `penchant.dpo`.

    Raises:
        UserError: a prompt, setting, model or path cannot be used.
    """
    if resume and output is None:
        raise ConfigError(
            "`resume=True` continues a file, but none is named; give `output=...`, or leave `resume=True` out"
        )
    require_whole("num_responses", num_responses)
    require_whole("batch_size", batch_size)
    loading = {"device": device, "dtype": dtype, "chat_template": chat_template, "special_tokens": special_tokens}
    asking: dict[str, Any] = {"endpoint_model": endpoint_model, "concurrency": concurrency, "timeout": timeout}
    _refuse_unread(model, endpoint, loading | {"batch_size": batch_size}, asking)
    reporter = reporter_of(progress)
    from penchant.models.sampler import SamplingParams

    params = SamplingParams(temperature, top_p, top_k, max_new_tokens, seed)
    author = None if endpoint is None else _at_endpoint(endpoint, params, **asking)
    asked = prompts_of(prompts, max_prompts, reporter, columns=columns, format=format)
    file = None if output is None else Path(output)
    if file is not None:
        require_place(file)
        found_in(file, asked, num_responses, resume=resume)  # refused before a model is loaded
    if author is not None:
        return _sampled(author, asked, file, num_responses, resume, reporter)
    loaded = _loaded(model, loading, reporter)
    from penchant.evaluation.authors import ModelAuthor
    from penchant.models.numerics import computing
    from penchant.models.requests import refuse_long_prompts

    with computing():
        loaded.numerics.take_up()
        refuse_long_prompts(loaded, asked)
        author = ModelAuthor(loaded, params, batch_size or 64)
        return _sampled(author, asked, file, num_responses, resume, reporter)


def _refuse_unread(
    model: ModelLike | None, endpoint: str | None, of_model: Mapping[str, Any], of_endpoint: Mapping[str, Any]
) -> None:
    """Raise ConfigError for options that would have no effect."""
    if model is not None and endpoint is not None:
        raise ConfigError(
            "a model and `endpoint=...` are both given; give one of them, and sample from the other in another call"
        )
    unread = of_endpoint if endpoint is None else of_model
    if (name := next((name for name, value in unread.items() if value is not None), None)) is not None:
        where = "with `endpoint=...`" if endpoint is None else "for a model that is loaded here, not for an endpoint"
        raise ConfigError(f"`{name}=...` is only read {where}; leave it out")


def _at_endpoint(address: str, params: SamplingParams, endpoint_model: str | None, **how: Any) -> Author:
    from penchant.evaluation.endpoint_author import open_endpoint

    return open_endpoint(address, endpoint_model, params, **how)


def _loaded(model: ModelLike | None, how: dict[str, str | None], reporter: Reporter) -> LanguageModel:
    if isinstance(model, str | os.PathLike):
        from penchant.models.opening import open_model

        spelt = special_tokens_of(how.pop("special_tokens"))
        return open_model(os.fspath(model), **how, special_tokens=spelt, reporter=reporter)
    from penchant.api.loading import load

    if given := next((name for name, value in how.items() if value is not None), None):
        raise ConfigError(
            f"`{given}=...` is read when a model is loaded, and this one is already; give it to `penchant.load`"
        )
    return load(model, progress=reporter)  # type: ignore[arg-type]  # of None it says what to give


def _sampled(
    author: Author,
    asked: Sequence[Prompt],
    output: Path | None,
    num_responses: int,
    resume: bool,
    reporter: Reporter,
) -> Samples:
    """Return the samples; if they are written to a file, report the outcome as well."""
    from penchant.evaluation.candidates import sample_prompts, sample_to_file

    on_progress = counted(reporter, "sampling")
    on_progress(0, len(asked))
    if output is None:
        return sample_prompts(author, asked, num_responses=num_responses, on_progress=on_progress)
    begin = time.perf_counter()
    done = sample_to_file(author, asked, output, num_responses=num_responses, resume=resume, on_progress=on_progress)
    for line in (*done.in_words(time.perf_counter() - begin), f"samples {output}"):
        reporter.say(line)
    rows = map(json.loads, output.read_bytes().splitlines())  # str.splitlines would also split at U+2028
    return Samples(tuple(rows), done.num_identical, done.num_tokens, done.num_refused)

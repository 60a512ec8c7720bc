"""A file of samples for each of those who answer, one after another; what is in the way is said before any is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from penchant.data import Prompt
from penchant.evaluation.sample_lines import found_in
from penchant.evaluation.sampling_options import Opening
from penchant.progress import Reporter

__all__ = ["sample_files"]


def sample_files(
    authors: Sequence[Opening],
    prompts: Sequence[Prompt],
    output: Path,
    *,
    num_responses: int = 2,
    resume: bool = False,
    reporter: Reporter,
) -> list[Path]:
    """Each author's responses to every prompt in a file of its own; returns the files.

    output: of a single author; of several, samples.jsonl is samples-1.jsonl, samples-2.jsonl, in their order. Each is
    opened when its turn comes. num_responses, resume, errors: as of `sample_to_file`.
    """
    outputs = [output] if len(authors) == 1 else [_numbered(output, number) for number in range(1, len(authors) + 1)]
    for path in outputs:
        found_in(path, prompts, num_responses, resume=resume)  # refused here, no model is loaded in vain
    for open_author, path in zip(authors, outputs, strict=True):
        author = open_author(prompts, reporter)
        from penchant.evaluation.candidates import sample_to_file

        begin = time.perf_counter()

        def on_progress(done: int, total: int) -> None:
            reporter.progress("sampling", done, total, {})

        on_progress(0, len(prompts))
        sampled = sample_to_file(
            author, prompts, path, num_responses=num_responses, resume=resume, on_progress=on_progress
        )
        for line in (*sampled.in_words(time.perf_counter() - begin), f"samples {path}"):
            reporter.say(line)
    return outputs


def _numbered(output: Path, number: int) -> Path:
    return output.with_name(f"{output.stem}-{number}{output.suffix}")

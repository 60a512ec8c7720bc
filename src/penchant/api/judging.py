"""Answer comparisons by a judge that stands in for people; needs no PyTorch unless the judge is a model."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penchant.data import Comparison
from penchant.data.given import Data
from penchant.data.in_memory import as_source
from penchant.errors import ConfigError, DataError
from penchant.evaluation.judges import Judge, JudgeOptions, judge_comparisons, judge_to_file, open_judge
from penchant.evaluation.judges.agreement import agreement_in_words, shared_answers
from penchant.evaluation.judges.counts import in_words, tally
from penchant.evaluation.judges.instructions import read_instructions
from penchant.evaluation.judges.judging import num_kept, read_comparisons
from penchant.evaluation.samples import Samples
from penchant.progress import Reporter, counted, reporter_of
from penchant.training.interrupt import Interrupted

__all__ = ["judge"]


def judge(
    comparisons: Samples | Data,
    judge: str | Judge | Callable[..., Any] = "positivity",
    *,
    judge_model: str | None = None,
    instructions: str | os.PathLike[str] | None = None,
    epsilon: float | None = None,
    judge_reference: str | os.PathLike[str] | None = None,
    concurrency: int | None = None,
    timeout: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    people: str | os.PathLike[str] | Sequence[Comparison] | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | Reporter = True,
) -> list[Comparison]:
    """Answer comparisons by a judge that stands in for people.

    Args:
        comparisons: the result of `sample`, a file of it, its rows, or Comparison records.
        judge: a name ("positivity"), "module:function", "reward:FOLDER", "run:FOLDER", the address of an endpoint, or a
            function of (prompt, response) that returns a score or of (prompt, a, b) that returns "a", "b", "tie" or
            "both_bad".
        judge_model: the name of the model at an endpoint.
        instructions: what the model at an endpoint is told: a text, or the Path of a file.
        epsilon: scores that differ by at most this are a tie; None: only equal ones.
        judge_reference: the reference of a run that judges; None: the run's own.
        concurrency: concurrent requests to an endpoint; None: 4. timeout: the most seconds of its silence; None: 120.
        device, dtype: of a run or a reward model, see `load`; None: the best available.
        people: comparisons that people answered, or a file of them; measures how far the judge agrees with them.
        output: JSON lines to write as well, one per answer; `resume=True` continues such a file.
        progress: see `penchant.dpo`.

    Raises:
        UserError: there is no such judge, an option does not apply to it, or it failed. Interrupted: Ctrl-C; output
            already written is kept.
    """
    if resume and output is None:
        raise ConfigError(
            "`resume=True` continues a file, but none is named; give `output=...`, or leave `resume=True` out"
        )
    reporter = reporter_of(progress)
    text = read_instructions(instructions) if isinstance(instructions, os.PathLike) else instructions
    run = None if judge_reference is None else os.fspath(judge_reference)
    choice: dict[str, Any] = {
        "judge_model": judge_model,
        "instructions": text,
        "epsilon": epsilon,
        "judge_reference": run,
    }
    how: dict[str, Any] = {"concurrency": concurrency, "timeout": timeout, "device": device, "dtype": dtype}
    if isinstance(judge, str):  # refused before anything is read
        JudgeOptions(judge, **choice).check(**how)
    asked, file = _comparisons(comparisons), None if output is None else Path(output)
    if (
        file is not None
        and isinstance(comparisons, str | os.PathLike)
        and file.resolve() == Path(comparisons).resolve()
    ):
        raise ConfigError(
            f"{file}: this is the file of comparisons itself, which must not be overwritten; choose another "
            "`output=...`"
        )
    by_people = () if people is None else _comparisons(people)
    if people is not None and not shared_answers(asked, by_people):
        where, of = (one if isinstance(one, str | os.PathLike) else "memory" for one in (people, comparisons))
        raise DataError(
            f"{where}: answers none of the comparisons in {of}; give people's answers to the same prompts and responses"
        )
    opened = open_judge(judge, **choice, **how, reporter=reporter)
    if file is None:
        votes = judge_comparisons(opened, asked, on_progress=counted(reporter, "judging"))
    else:
        try:
            votes = judge_to_file(opened, asked, file, resume=resume, on_progress=counted(reporter, "judging"))
        except KeyboardInterrupt:
            kept = f"{num_kept(file)} of {len(asked)} answers are kept"
            raise Interrupted(signal.SIGINT, f"interrupted, {kept}; continue with `resume=True`") from None
    for line in (
        *(() if file is None else in_words(tally(votes), opened.name)),
        *(agreement_in_words(votes, by_people) if by_people else ()),
        *(() if file is None else (f"votes   {file}",)),
    ):
        reporter.say(line)
    return votes


def _comparisons(comparisons: Samples | Data) -> Sequence[Comparison]:
    if isinstance(comparisons, Samples):
        return comparisons.comparisons
    if isinstance(comparisons, str | os.PathLike):
        return read_comparisons(Path(comparisons))
    if isinstance(comparisons, list | tuple) and all(isinstance(one, Comparison) for one in comparisons):
        return comparisons
    return read_comparisons(as_source(comparisons, "comparisons"))

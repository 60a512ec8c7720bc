"""Answer comparisons by a judge that stands in for people; needs no PyTorch unless the judge is a model."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penchant.data import Comparison
from penchant.data.given import Data
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
    people: str | os.PathLike[str] | Sequence[Comparison] | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | Reporter = True,
    **options: Any,
) -> list[Comparison]:
    """Answer comparisons by a judge that stands in for people.

    Args:
        comparisons: the result of `sample`, a file of it, or Comparison records.
        judge: a name ("positivity"), "module:function", "reward:FOLDER", "run:FOLDER", the address of an endpoint, or a
            function of (prompt, response) that returns a score or of (prompt, a, b) that returns "a", "b", "tie" or
            "both_bad".
        people: comparisons that people answered, or a file of them; measures how far the judge agrees with them.
        output: JSON lines to write as well, one per answer; `resume=True` continues such a file.
        options: judge_model, instructions (a text, or the Path of a file), epsilon, judge_reference, concurrency,
            timeout, device, dtype, as far as the judge uses them; see `penchant.evaluation.judges.open_judge`.

    Raises:
        UserError: there is no such judge, or it failed. Interrupted: Ctrl-C; output already written is kept.
    """
    if resume and output is None:
        raise ConfigError(
            "`resume=True` continues a file, but none is named; give `output=...`, or leave `resume=True` out"
        )
    reporter = reporter_of(progress)
    if isinstance(options.get("instructions"), os.PathLike):
        options["instructions"] = read_instructions(options["instructions"])
    if isinstance(judge, str):  # refused before anything is read
        said = {name: options.get(name) for name in ("judge_model", "instructions", "epsilon", "judge_reference")}
        JudgeOptions(judge, **said).check(**{name: options[name] for name in options.keys() - said.keys()})
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
    opened = open_judge(judge, reporter=reporter, **options)
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
    records: list[Any] = list(comparisons)  # type: ignore[arg-type]  # a RowSource has no records, and is refused
    if strange := [one for one in records if not isinstance(one, Comparison)]:
        got = type(strange[0]).__name__
        raise ConfigError(f"comparisons must be Comparison records, got {got}; give what `penchant.sample` returned")
    return records

"""A file of comparisons answered by a judge, and how far people who answered the same agree with it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from penchant.data import Comparison
from penchant.errors import ConfigError, DataError
from penchant.evaluation.judges.agreement import agreement_in_words, shared_answers
from penchant.evaluation.judges.counts import in_words, tally
from penchant.evaluation.judges.judging import judge_to_file, num_kept, read_comparisons
from penchant.evaluation.judges.options import JudgeOptions
from penchant.progress import Reporter, counted
from penchant.training.interrupt import Interrupted

__all__ = ["judge_file"]


def judge_file(
    comparisons: Path,
    output: Path,
    judge: JudgeOptions,
    *,
    people: Path | None = None,
    resume: bool = False,
    reporter: Reporter,
    **how: Any,
) -> list[Comparison]:
    """Answer every comparison of a file, write the answers, and say what came of it; see `judge_to_file`.

    people: a file of comparisons that people answered. how: of `JudgeOptions.open`. Raises UserError, before the judge
    is opened where a file is wrong, and Interrupted, which says how many answers are kept.
    """
    judge.check(**how)
    asked = read_comparisons(comparisons)
    if output.resolve() == comparisons.resolve():
        raise ConfigError(f"`output=...` {output}: is the file of comparisons itself; choose another `output=...`")
    by_people = [] if people is None else read_comparisons(people)
    if people is not None and not shared_answers(asked, by_people):
        raise DataError(f"{people}: answers none of the comparisons in {comparisons}; give answers to the same texts")
    opened = judge.open(reporter, **how)

    try:
        votes = judge_to_file(opened, asked, output, resume=resume, on_progress=counted(reporter, "judging"))
    except KeyboardInterrupt:
        kept = f"{num_kept(output)} of {len(asked)} answers are kept"
        raise Interrupted(signal.SIGINT, f"interrupted, {kept}; go on with `resume=True`") from None
    of_people = agreement_in_words(votes, by_people) if by_people else ()
    for line in (*in_words(tally(votes), opened.name), *of_people, f"votes   {output}"):
        reporter.say(line)
    return votes

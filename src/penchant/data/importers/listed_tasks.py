"""Read lists of answers as annotation tasks: every two answers, including equal scores and unjudged ones."""

from collections.abc import Iterator
from itertools import combinations
from math import comb

from penchant.data.answer_lists import AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import Importer, OneOrMore, converting
from penchant.data.importers.judged import all_of, compared, text_of
from penchant.data.pairing import MOST_PAIRS, apart
from penchant.data.records import Comparison, Outcome, response_key
from penchant.data.verdicts import BadRow

__all__ = ["tasks_by_score"]


def tasks_by_score(one: OneOrMore[AnswerList]) -> Importer[tuple[Comparison, ...]]:
    """The importer of comparisons: of every two answers, the higher score won and equal scores tie.

    Where a score is missing, the comparison is unanswered.
    """

    def convert(row: Row) -> tuple[Comparison, ...]:
        return tuple(comparison for found in all_of(one.convert(row)) for comparison in _tasks_of(found))

    return converting(one, convert)


def _tasks_of(one: AnswerList) -> Iterator[Comparison]:
    answers = [answer for answer in apart(one.answers) if response_key(answer.response)]
    if len(answers) < 2:
        reason = f"it has {len(one.answers)} answers but fewer than two different texts, and a task needs two"
        raise BadRow("one_answer", reason, "nothing to fix")
    if comb(len(answers), 2) > MOST_PAIRS:
        raise BadRow(
            "bad_type", f"its {len(answers):,} answers make more than {MOST_PAIRS:,} tasks", "give fewer answers"
        )
    for a, b in combinations(answers, 2):
        outcome: Outcome | None = None
        if a.score is not None and b.score is not None:
            outcome = "tie" if a.score == b.score else "a" if a.score > b.score else "b"
        yield compared(one.prompt, (text_of(a.response), text_of(b.response)), outcome, models=(a.model, b.model))

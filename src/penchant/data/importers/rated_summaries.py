"""Import OpenAI's ratings of summaries: one post and summary per row, rated by a worker from 1 to 7 on each axis.

The rows of one post become a list of its summaries (data/gathering.py). The score is the axis `overall`; several
workers' ratings of the same summary are averaged. Data: Stiennon et al. 2020, "Learning to summarize from human
feedback" (arXiv 2009.01325), the part "axis".
"""

from collections.abc import Iterator
from statistics import fmean

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import Importer, beyond, text_field
from penchant.data.importers.judged import object_field
from penchant.data.importers.summaries import OF_INFO, asked_for_summary
from penchant.data.importers.values import number_in, says_nothing

__all__ = ["RATED_SUMMARIES", "SUMMARIES_OF_POST"]

SUMMARIES_OF_POST = "rated summaries"
"""The field that holds the rows of one post after merging."""
READ_OF_ROW = frozenset(("info", "summary", "worker", "batch", "split"))
OF_SUMMARY = frozenset(("text", "policy", "note", "axes"))
AXES = frozenset(("overall", "accuracy", "coverage", "coherence", "compatible"))
"""The axes of a rating; the first is the overall judgement."""


def _list(row: Row) -> AnswerList:
    scores: dict[str, list[float]] = {}
    models: dict[str, str | None] = {}
    for one in row[SUMMARIES_OF_POST]:
        summary = object_field(one, "summary")
        text, axes = text_field(summary, "text").strip(), object_field(summary, "axes")
        score, policy = number_in(axes.get("overall"), "summary.axes.overall"), summary.get("policy")
        scores.setdefault(text, []).extend([] if score is None else [score])
        models[text] = None if says_nothing(policy) else str(policy)
    answers = [
        Answer(response=text, score=fmean(held) if held else None, model=models[text]) for text, held in scores.items()
    ]
    return AnswerList(prompt=asked_for_summary(row), answers=tuple(answers))


def _inside(row: Row) -> Iterator[tuple[str, Row]]:
    for one in row[SUMMARIES_OF_POST]:
        summary = object_field(one, "summary")
        yield "", beyond(one, READ_OF_ROW)
        yield "info.", beyond(object_field(one, "info"), OF_INFO)
        yield "summary.", beyond(summary, OF_SUMMARY)
        yield "summary.axes.", beyond(object_field(summary, "axes"), AXES)


_INFO = {"subreddit": "space", "title": "The sun", "post": "What is the sun?"}
RATED_SUMMARIES = Importer(
    name="rated_summaries",
    description="info (with post or article), summary (with text and axes), worker, a row for each rating",
    example={
        "info": _INFO,
        SUMMARIES_OF_POST: [
            {
                "info": _INFO,
                "summary": {"text": " A lamp.", "policy": "coffee", "axes": {"overall": 2}},
                "worker": "w1",
            },
            {
                "info": _INFO,
                "summary": {"text": " A star, the nearest one.", "policy": "tea", "axes": {"overall": 7}},
                "worker": "w1",
            },
        ],
    },
    needs=(),
    matches=lambda row: (
        isinstance(held := row.get(SUMMARIES_OF_POST), list) and all(isinstance(one, dict) for one in held)
    ),
    convert=_list,
    reads=frozenset(("info", SUMMARIES_OF_POST)),
    inside=_inside,
    needs_one_of=(frozenset((SUMMARIES_OF_POST,)),),
)

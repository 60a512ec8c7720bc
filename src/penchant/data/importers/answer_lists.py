"""A prompt with a list of scored answers: objects, as in Nectar and the Stack Exchange data, or lists side by side.

The names are those of public data. Nectar: answers of {answer, model, rank}. Stack Exchange: answers of
{text, pm_score}, whose score grows with the votes and with being the accepted one. Distilabel: generations beside
ratings. UltraFeedback: completions of {response, model, annotations}, of which the mean of the ratings by aspect is the
score: its `overall_score` is wrong in some rows, so that public versions were made again from the ratings.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import isnan
from statistics import fmean
from typing import Any

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, response_field
from penchant.data.importers.messages import kind_of, says_nothing
from penchant.data.importers.named import OF_INSTRUCTION, QUESTION, prompt_of
from penchant.data.importers.packed import messages_spelt
from penchant.data.importers.sides import JUDGEMENT
from penchant.data.records import Message
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["ANSWER_COLUMNS", "ANSWER_OBJECTS", "ULTRAFEEDBACK", "number_in"]

QUESTIONS = ("prompt", "instruction", "question", "query", "input", "messages")
LISTS = ("answers", "responses", "completions", "generations", "candidates", "outputs")
TEXTS = ("text", "answer", "response", "completion", "content", "output", "generation")
SCORES = ("score", "pm_score", "rating", "reward")
RANKS = ("rank", "ranking")
MODELS = ("model", "model_name", "generation_model")
COLUMNS_OF_SCORES = ("scores", "ratings", "rating", "rewards")
COLUMNS_OF_RANKS = ("ranks", "rank", "ranking")
COLUMNS_OF_MODELS = ("models", "generation_models")
NO_NUMBER = ("", "n/a", "na", "none", "null", "nan")

_HARMLESS_INSIDE = """
    id answer_id author author_id author_profile selected principle custom_system_prompt critique annotations
    role overall_score fine-grained_score source index correctness coherence complexity verbosity helpfulness
"""
HARMLESS_INSIDE = frozenset(_HARMLESS_INSIDE.split())
"""Of one answer: who wrote it, how it was asked for, and what else was said of it."""
_HARMLESS_BESIDE = """
    turns num_responses good_natured models correct_answers incorrect_answers generation_models scores ratings
"""
HARMLESS_BESIDE = JUDGEMENT | frozenset(_HARMLESS_BESIDE.split())


def _name(row: Row, names: Iterable[str]) -> str | None:
    return next((name for name in names if not says_nothing(row.get(name))), None)


def number_in(value: object, name: str) -> float | None:
    """A score as json, csv or parquet spell it; None for "N/A" and what else stands for none. Raises BadRow."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NO_NUMBER):
        return None
    try:
        number = float("inf") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = float("inf")
    if isnan(number):
        return None
    if abs(number) == float("inf"):
        raise BadRow("bad_type", f"'{name}' is {shown(value)}, which is no score", "write a number, or null for none")
    return number


def _score(one: Row, where: str) -> float | None:
    """Higher is better; a rank counts from the best."""
    name = _name(one, SCORES)
    if name is not None:
        return number_in(one[name], f"{where}.{name}")
    name = _name(one, RANKS)
    rank = None if name is None else number_in(one[name], f"{where}.{name}")
    return None if rank is None else -rank


def _mean_rating(one: Row, where: str) -> float | None:
    """The mean of the ratings by aspect; where there are none, the mean that the row holds, then the overall score."""
    ratings: list[float | None] = []
    aspects = one.get("annotations")
    for aspect, said in aspects.items() if isinstance(aspects, dict) else ():
        for each in said if isinstance(said, list) else [said]:
            if isinstance(each, dict):
                ratings.append(number_in(each.get("Rating"), f"{where}.annotations.{aspect}.Rating"))
    known = [rating for rating in ratings if rating is not None]
    if known:
        return fmean(known)
    name = _name(one, ("fine-grained_score", "overall_score"))
    return None if name is None else number_in(one[name], f"{where}.{name}")


def _prompt(row: Row) -> tuple[Message, ...]:
    """The prompt in the one field that asks, or an instruction with its input. Raises BadRow for two questions."""
    asking = [name for name in QUESTIONS if not says_nothing(row.get(name))]
    if not asking:
        raise BadRow("empty_prompt", "the prompt is empty", "write one")
    if asking[0] == "instruction":
        asking = [name for name in asking if name != "input"]
    if len(asking) > 1:
        reason = f"it asks in two fields, '{asking[0]}' and '{asking[1]}'"
        raise BadRow("unread_field", reason, "give each row one prompt, or remove the field")
    return prompt_of(row, asking[0])


def _answers(row: Row) -> tuple[str, list[Any]]:
    """The one field that holds a list of answers, and these. Raises BadRow for two."""
    lists = [name for name in LISTS if not says_nothing(row.get(name))]
    if not lists:
        raise BadRow("one_answer", "its list holds no answers, and a pair needs two", "nothing to mend")
    if len(lists) > 1:
        reason = f"it holds answers in two fields, '{lists[0]}' and '{lists[1]}'"
        raise BadRow("unread_field", reason, "give each row one list of answers, or remove the field")
    name = lists[0]
    if not isinstance(row[name], list):
        raise BadRow("bad_type", f"'{name}' must be a list of answers, got {kind_of(row[name])}", "write a list")
    return name, row[name]


def _answer(prompt: tuple[Message, ...], where: str, text: Any, score: float | None, model: Any) -> Answer:
    spelt = messages_spelt(text, where) if isinstance(text, str) else text
    response = "" if text is None else response_field({where: spelt}, where, prompt)
    return Answer(response=response, score=score, model=None if says_nothing(model) else str(model))


def _of_objects(row: Row, *, score: Callable[[Row, str], float | None]) -> AnswerList:
    prompt, (name, held) = _prompt(row), _answers(row)
    answers = []
    for index, one in enumerate(held):
        where = f"{name}[{index}]"
        if not isinstance(one, dict):
            raise BadRow("bad_type", f"'{where}' must be an object, got {kind_of(one)}", "give its text and its score")
        text, model = _name(one, TEXTS), _name(one, MODELS)
        said = _answer(prompt, where, one.get(text or ""), score(one, where), one.get(model or ""))
        answers.append(said)
    return AnswerList(prompt=prompt, answers=tuple(answers))


def _column(row: Row, names: Iterable[str], number: int) -> tuple[str, list[Any]] | None:
    """The first of these fields that is filled with a list, one value for each answer."""
    name = next((name for name in names if isinstance(row.get(name), list) and not says_nothing(row[name])), None)
    if name is not None and len(row[name]) != number:
        reason = f"'{name}' holds {len(row[name])} values for {number} answers"
        raise BadRow("bad_type", reason, "give one for each answer, null where there is none")
    return None if name is None else (name, row[name])


def _of_columns(row: Row) -> AnswerList:
    prompt, (name, held) = _prompt(row), _answers(row)
    scores, sign = _column(row, COLUMNS_OF_SCORES, len(held)), 1
    if scores is None:
        scores, sign = _column(row, COLUMNS_OF_RANKS, len(held)), -1
    marks = scores[1] if scores else [None] * len(held)
    models = (_column(row, COLUMNS_OF_MODELS, len(held)) or ("", [None] * len(held)))[1]
    answers = []
    for index, (text, mark, model) in enumerate(zip(held, marks, models, strict=True)):
        number = number_in(mark, f"{scores[0] if scores else ''}[{index}]")
        score = None if number is None else sign * number
        answers.append(_answer(prompt, f"{name}[{index}]", text, score, model))
    return AnswerList(prompt=prompt, answers=tuple(answers))


def _matches_objects(row: Row, *, marks: tuple[str, ...]) -> bool:
    """Whether answers stand in it as objects, of which one has a text and one of these marks."""
    name = _name(row, LISTS) if _name(row, QUESTIONS) else None
    held = row.get(name) if name else None
    return (
        isinstance(held, list)
        and all(isinstance(one, dict) for one in held)
        and any(_name(one, TEXTS) for one in held)
        and any(_name(one, marks) for one in held)
    )


def _matches_columns(row: Row) -> bool:
    name = _name(row, LISTS) if _name(row, QUESTIONS) else None
    held = row.get(name) if name else None
    marks = (*COLUMNS_OF_SCORES, *COLUMNS_OF_RANKS)
    return (
        isinstance(held, list)
        and all(one is None or isinstance(one, (str, list)) for one in held)
        and any(isinstance(row.get(mark), list) for mark in marks)
    )


def _inside(row: Row, *, harmless: frozenset[str]) -> Iterator[tuple[str, Row]]:
    name = _name(row, LISTS) or ""
    for one in row[name]:
        known = harmless.union(_name(one, names) or "" for names in (TEXTS, SCORES, RANKS, MODELS))
        yield f"{name}[].", {key: value for key, value in one.items() if key not in known}


READS = BESIDE.union(QUESTIONS, LISTS, OF_INSTRUCTION)

ANSWER_OBJECTS = Importer(
    name="answer_objects",
    description="prompt (or question), answers (or responses, completions: objects of text and score or rank)",
    example={
        "prompt": QUESTION,
        "answers": [
            {"answer": "A lamp.", "model": "after", "rank": 2.0},
            {"answer": "A star, the nearest one.", "model": "before", "rank": 1.0},
        ],
    },
    needs=(),
    needs_one_of=(frozenset(QUESTIONS), frozenset(LISTS)),
    matches=partial(_matches_objects, marks=(*SCORES, *RANKS)),
    convert=partial(_of_objects, score=_score),
    reads=READS,
    harmless=HARMLESS_BESIDE,
    inside=partial(_inside, harmless=HARMLESS_INSIDE),
)

ULTRAFEEDBACK = Importer(
    name="ultrafeedback",
    description="instruction, completions (objects of response, annotations with a Rating by aspect, model)",
    example={
        "instruction": QUESTION,
        "completions": [
            {
                "response": "A lamp.",
                "model": "after",
                "annotations": {"honesty": {"Rating": "2"}},
                "overall_score": 8.5,
            },
            {
                "response": "A star, the nearest one.",
                "model": "before",
                "annotations": {"honesty": {"Rating": "5"}, "truthfulness": {"Rating": "4"}},
                "overall_score": 7.5,
            },
        ],
    },
    needs=("instruction", "completions"),
    matches=partial(_matches_objects, marks=("annotations", "fine-grained_score", "overall_score")),
    convert=partial(_of_objects, score=_mean_rating),
    reads=READS,
    harmless=HARMLESS_BESIDE,
    inside=partial(_inside, harmless=HARMLESS_INSIDE),
)

ANSWER_COLUMNS = Importer(
    name="answer_columns",
    description="prompt (or input), generations (or responses: a list), ratings (or scores, ranks: a list)",
    example={
        "input": QUESTION,
        "generations": ["A lamp.", "A star, the nearest one."],
        "ratings": [2.0, 9.0],
        "generation_models": ["after", "before"],
    },
    needs=(),
    needs_one_of=(frozenset(QUESTIONS), frozenset(LISTS)),
    matches=_matches_columns,
    convert=_of_columns,
    reads=READS.union(COLUMNS_OF_SCORES, COLUMNS_OF_RANKS, COLUMNS_OF_MODELS),
    harmless=HARMLESS_BESIDE,
)

"""Import a prompt with a list of scored answers: objects, as in Nectar and Stack Exchange data, or parallel lists.

The names are those of public data. Nectar: answers of {answer, model, rank}. Stack Exchange: answers of
{text, pm_score}, whose score grows with the votes and with acceptance. Distilabel: generations beside ratings.
UltraFeedback: completions of {response, model, annotations}; the score is the mean of the ratings by aspect, because
its `overall_score` is wrong in some rows, so that public versions were rebuilt from the ratings.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from statistics import fmean
from typing import Any

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, beyond, response_field
from penchant.data.importers.messages import READ_OF_MESSAGE
from penchant.data.importers.named import OF_INSTRUCTION, QUESTION, prompt_of
from penchant.data.importers.packed import messages_spelt, spelt
from penchant.data.importers.scores import (
    COLUMNS,
    RANKS,
    SCORES,
    Column,
    agreed,
    columns_beside,
    columns_inside,
    numbers_beside,
)
from penchant.data.importers.sides import JUDGEMENT
from penchant.data.importers.values import kind_of, number_in, says_nothing
from penchant.data.records import Message
from penchant.data.verdicts import BadRow

__all__ = ["ANSWER_COLUMNS", "ANSWER_OBJECTS", "ULTRAFEEDBACK"]

QUESTIONS = ("prompt", "instruction", "question", "query", "input", "messages")
LISTS = ("answers", "responses", "completions", "generations", "candidates", "outputs")
TEXTS = ("text", "answer", "response", "completion", "content", "output", "generation")
MODELS = ("model", "model_name", "generation_model")
COLUMNS_OF_MODELS = ("models", "generation_models")

_HARMLESS_INSIDE = """
    id answer_id author author_id author_profile selected principle custom_system_prompt critique annotations
    role overall_score fine-grained_score source index correctness coherence complexity verbosity helpfulness
"""
HARMLESS_INSIDE = frozenset(_HARMLESS_INSIDE.split())
"""Fields inside an answer: its author, how it was requested, and further remarks on it."""
OF_RATING = frozenset(("rating", "rationale", "type", "rationale for rating"))
_HARMLESS_BESIDE = """
    turns num_responses good_natured models correct_answers incorrect_answers generation_models scores ratings
"""
HARMLESS_BESIDE = JUDGEMENT | frozenset(_HARMLESS_BESIDE.split())


def _name(row: Row, names: Iterable[str]) -> str | None:
    return next((name for name in names if not says_nothing(row.get(name))), None)


def _ratings(held: list[Row], where: str) -> Column:
    """The mean of the ratings by aspect of each answer; None for an answer without ratings."""
    return f"{where}[].annotations", [_mean_rating(one, f"{where}[{index}]") for index, one in enumerate(held)]


def _mean_rating(one: Row, where: str) -> float | None:
    """The mean rating. Raises BadRow for annotations without a rating."""
    aspects = spelt(one.get("annotations"))
    if says_nothing(aspects):
        return None
    if not isinstance(aspects, dict):
        raise _unread(where, kind_of(aspects))
    ratings: list[float | None] = []
    for aspect, said in aspects.items():
        for each in said if isinstance(said, list) else [said]:
            if says_nothing(each):
                continue
            found = [name for name in each if name.lower() == "rating"] if isinstance(each, dict) else []
            if not found:
                raise _unread(where, f"{kind_of(each)} without a rating in '{aspect}'")
            ratings += [number_in(each[name], f"{where}.annotations.{aspect}.{name}") for name in found]
    known = [rating for rating in ratings if rating is not None]
    return fmean(known) if known else None


def _unread(where: str, got: str) -> BadRow:
    fix = 'write {"honesty": {"Rating": "5"}}, or remove them'
    return BadRow("bad_type", f"'{where}.annotations' must hold a Rating for each aspect, got {got}", fix)


def _ratings_or_scores(held: list[Row], where: str) -> list[Column]:
    """UltraFeedback's kinds of scores; the last, wrong in some rows, only if there is no other."""
    found = [_ratings(held, where), *columns_inside(held, where, ("fine-grained_score", *SCORES, *RANKS))]
    if any(score is not None for _, scores in found for score in scores):
        return found
    return columns_inside(held, where, ("overall_score",))


def _prompt(row: Row) -> tuple[Message, ...]:
    """The prompt, from the only prompt field, or an instruction with its input. Raises BadRow for two prompts."""
    asking = [name for name in QUESTIONS if not says_nothing(row.get(name))]
    if not asking:
        raise BadRow("empty_prompt", "the prompt is empty", "write one")
    if asking[0] == "instruction":
        asking = [name for name in asking if name != "input"]
    if asking[0] != "instruction" and not says_nothing(row.get("history")):
        raise BadRow("unread_field", "the field 'history' holds earlier turns", "write the whole prompt as messages")
    if len(asking) > 1:
        reason = f"its prompt is in two fields, '{asking[0]}' and '{asking[1]}'"
        raise BadRow("unread_field", reason, "keep one of them")
    return prompt_of(row, asking[0])


def _answers(row: Row) -> tuple[str, list[Any]]:
    """The only field that holds a list of answers, and the answers. Raises BadRow if there are two."""
    lists = [name for name in LISTS if not says_nothing(row.get(name))]
    if not lists:
        raise BadRow("one_answer", "its list holds no answers, and a pair needs two", "nothing to fix")
    if len(lists) > 1:
        reason = f"its answers are in two fields, '{lists[0]}' and '{lists[1]}'"
        raise BadRow("unread_field", reason, "keep one of them")
    name = lists[0]
    if not isinstance(row[name], list):
        raise BadRow("bad_type", f"'{name}' must be a list of answers, got {kind_of(row[name])}", "write a list")
    return name, row[name]


def _answer(prompt: tuple[Message, ...], where: str, text: Any, score: float | None, model: Any) -> Answer:
    spelt = messages_spelt(text, where) if isinstance(text, str) else text
    response = "" if text is None else response_field({where: spelt}, where, prompt)
    return Answer(response=response, score=score, model=None if says_nothing(model) else str(model))


def _of_objects(row: Row, *, kinds: Callable[[list[Row], str], list[Column]]) -> AnswerList:
    prompt, (name, held) = _prompt(row), _answers(row)
    answers = []
    for index, one in enumerate(held):
        if not isinstance(one, dict):
            reason = f"'{name}[{index}]' must be an object, got {kind_of(one)}"
            raise BadRow("bad_type", reason, "write an object with the answer's text and its score")
    scores = agreed([*kinds(held, name), *columns_beside(row, len(held))], len(held))
    for index, (one, score) in enumerate(zip(held, scores, strict=True)):
        where = f"{name}[{index}]"
        text, model = _name(one, TEXTS), _name(one, MODELS)
        said = _answer(prompt, where, one.get(text or ""), score, one.get(model or ""))
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
    scores = agreed(columns_beside(row, len(held)), len(held))
    models = (_column(row, COLUMNS_OF_MODELS, len(held)) or ("", [None] * len(held)))[1]
    answers = []
    for index, (text, score, model) in enumerate(zip(held, scores, models, strict=True)):
        answers.append(_answer(prompt, f"{name}[{index}]", text, score, model))
    return AnswerList(prompt=prompt, answers=tuple(answers))


def _matches_objects(row: Row, *, marks: tuple[str, ...]) -> bool:
    """Whether it holds answers as objects, one of them with a text and one of these marks."""
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
    return (
        isinstance(held, list)
        and all(one is None or isinstance(one, (str, list)) for one in held)
        and any(isinstance(row.get(mark), list) for mark in COLUMNS)
    )


def _inside(row: Row, *, harmless: frozenset[str]) -> Iterator[tuple[str, Row]]:
    name = _name(row, LISTS) or ""
    for one in row[name]:
        known = harmless.union(SCORES, RANKS, (_name(one, names) or "" for names in (TEXTS, MODELS)))
        yield f"{name}[].", beyond(one, known)
        yield from _inside_annotations(one, f"{name}[].annotations")
        yield from _inside_messages(one.get(_name(one, TEXTS) or ""), f"{name}[].{_name(one, TEXTS)}")
    yield "", numbers_beside(row)


def _inside_annotations(one: Row, where: str) -> Iterator[tuple[str, Row]]:
    """The fields beside the rating of an aspect."""
    aspects = spelt(one.get("annotations"))
    for aspect, said in aspects.items() if isinstance(aspects, dict) else ():
        for each in said if isinstance(said, list) else [said]:
            if isinstance(each, dict) and "rating" in map(str.lower, each):
                yield f"{where}.{aspect}.", {k: v for k, v in each.items() if k.lower() not in OF_RATING}


def _inside_columns(row: Row) -> Iterator[tuple[str, Row]]:
    name = _name(row, LISTS) or ""
    for one in row[name]:
        yield from _inside_messages(one, f"{name}[]")
    yield "", numbers_beside(row)


def _inside_messages(answer: Any, where: str) -> Iterator[tuple[str, Row]]:
    """The fields of an answer's messages that are not read."""
    answer = messages_spelt(answer, where) if isinstance(answer, str) else answer
    for message in answer if isinstance(answer, list) else [answer]:
        if isinstance(message, dict):
            yield f"{where}[].", beyond(message, READ_OF_MESSAGE | HARMLESS_INSIDE)


READS = BESIDE.union(QUESTIONS, LISTS, OF_INSTRUCTION, COLUMNS)

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
    convert=partial(_of_objects, kinds=columns_inside),
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
    convert=partial(_of_objects, kinds=_ratings_or_scores),
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
    reads=READS.union(COLUMNS_OF_MODELS),
    harmless=HARMLESS_BESIDE,
    inside=_inside_columns,
)

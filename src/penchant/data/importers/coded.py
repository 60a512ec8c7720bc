"""Import a prompt, two answers and a coded preference: AlpacaEval, LLMBar, Auto-J, SHP, HelpSteer.

Each format is a row of FORMS. Sources: AlpacaEval (Li et al. 2023), preference 1 or 2, 0 or 1.5 for a draw, values in
between for a weighted judge; LLMBar (Zeng et al. 2023), label 1 or 2; Auto-J (Li et al. 2023), label 0, 1 or 2 for a
tie; Stanford Human Preferences (Ethayarajh et al. 2022), labels 1 for A and 0 for B; the preferences of HelpSteer 2 and
3 (Wang et al. 2024, 2025), from -3 (the first is much better) to 3 (the second is much better).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.alpaca import question_of
from penchant.data.importers.base import BESIDE, Importer, filled, opened, prompt_field, text_field
from penchant.data.importers.helpsteer import marked_turns
from penchant.data.importers.judged import agreeing, coded, compared, judge_of
from penchant.data.importers.values import number_in, says_nothing
from penchant.data.records import Comparison, Message, Outcome
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["ALPACA_EVAL", "CODED"]

MOST_STEPS = 3
Verdict = tuple[Outcome | None, int | None]
"""The outcome, and the strength of the preference if recorded."""


@dataclass(frozen=True)
class Form:
    """One format: its name, the fields of the prompt, of the two answers and of the code, and how the code is read.

    models: the fields that name the authors of the answers. scores: those of the answers' scores. harmless: further
    fields of the data set. asks: how the prompt is read.
    """

    name: str
    prompt: str
    answers: tuple[str, str]
    code: str
    verdict: Callable[[Row, str], Verdict]
    example: Any
    codes: str
    models: tuple[str, str] | None = None
    scores: tuple[str, str] | None = None
    harmless: tuple[str, ...] = ()
    asks: Callable[[Row, str], tuple[Message, ...]] = prompt_field


def _of(codes: dict[str, Outcome | None]) -> Callable[[Row, str], Verdict]:
    return lambda row, name: (coded(row, name, codes), None)


def _weighted(row: Row, name: str) -> Verdict:
    """The number of the better answer, 0 or 1.5 for a draw; a weighted judge's value lies between."""
    number = _number(row, name, "0, or a number from 1 to 2")
    if number is None or number in (0, 1.5):
        return (None if number is None else "tie"), None
    if not 1 <= number <= 2:
        raise BadRow(
            "bad_type", f"'{name}' is {shown(row[name])}, which is not an outcome", "write 0, or a number from 1 to 2"
        )
    return ("a" if number < 1.5 else "b"), None


def _signed(row: Row, name: str) -> Verdict:
    """Below 0 the first answer is better, above 0 the second; the magnitude is the strength."""
    number = _number(row, name, "a whole number from -3 to 3")
    if number is None:
        return None, None
    if number != int(number) or abs(number) > MOST_STEPS:
        raise BadRow(
            "bad_type", f"'{name}' is {shown(row[name])}, which is not an outcome", "write a whole number from -3 to 3"
        )
    return ("a", int(-number)) if number < 0 else ("b", int(number)) if number else ("tie", None)


def _number(row: Row, name: str, known: str) -> float | None:
    if says_nothing(row.get(name)):
        return None
    try:
        return number_in(row[name], name)
    except BadRow:
        raise BadRow("bad_type", f"'{name}' is {shown(row[name])}, which is not an outcome", f"write {known}") from None


FORMS = (
    Form(
        name="alpaca_eval",
        prompt="instruction",
        answers=("output_1", "output_2"),
        code="preference",
        verdict=_weighted,
        example=1,
        codes="1 or 2; 0 or 1.5 for a draw",
        models=("generator_1", "generator_2"),
        harmless=("price_per_example", "time_per_example", "raw_completion", "raw_preference", "annotator_index"),
    ),
    Form(
        name="llmbar",
        prompt="input",
        answers=("output_1", "output_2"),
        code="label",
        verdict=_of({"1": "a", "2": "b"}),
        example=1,
        codes="1 or 2",
    ),
    Form(
        name="auto_j",
        prompt="prompt",
        answers=("response 1", "response 2"),
        code="label",
        verdict=_of({"0": "a", "1": "b", "2": "tie"}),
        example=0,
        codes="0 the first, 1 the second, 2 a tie",
        harmless=("scenario",),
    ),
    Form(
        name="shp",
        prompt="history",
        answers=("human_ref_A", "human_ref_B"),
        code="labels",
        verdict=_of({"1": "a", "0": "b"}),
        example=1,
        codes="1 for A, 0 for B",
        scores=("score_A", "score_B"),
        harmless=(
            *("post_id", "upvote_ratio", "c_root_id_A", "c_root_id_B", "created_at_utc_A", "created_at_utc_B"),
            *("seconds_difference", "score_ratio"),
        ),
    ),
    Form(
        name="helpsteer2_preference",
        prompt="prompt",
        answers=("response_1", "response_2"),
        code="preference_strength",
        verdict=_signed,
        example=-2,
        codes="from -3, the first is much better, to 3, the second is",
        harmless=(
            "preference_statement",
            "preference_elaboration",
            "three_most_similar_preferences",
            "all_preferences_unprocessed",
        ),
        asks=marked_turns,
    ),
    Form(
        name="helpsteer3",
        prompt="context",
        answers=("response1", "response2"),
        code="overall_preference",
        verdict=_signed,
        example=-2,
        codes="from -3, the first is much better, to 3, the second is",
        harmless=("individual_preference",),
    ),
)
ANNOTATOR = "annotator"
TEXTS = ("A star, the nearest one.", "A lamp.")
OF_INSTRUCTION = {"instruction": ("input", "history")}
"""Fields read besides an instruction, as in Alpaca's form."""


def _convert(row: Row, *, form: Form) -> Comparison:
    outcome, strength = form.verdict(row, form.code)
    if form.scores:
        outcome = agreeing(outcome, row, form.code, form.scores)
    prompt = opened(row, question_of(row)) if form.prompt in OF_INSTRUCTION else form.asks(row, form.prompt)
    texts = text_field(row, form.answers[0]), text_field(row, form.answers[1])
    models = (row.get(form.models[0]), row.get(form.models[1])) if form.models else (None, None)
    annotator = judge_of(row, ANNOTATOR)
    return compared(prompt, texts, outcome, models=models, annotator=annotator, strength=strength)


def _importer(form: Form) -> Importer[Comparison]:
    question = "What is the sun?"
    texts = (form.prompt, *form.answers)
    values = ([{"role": "user", "content": question}] if form.prompt == "context" else question, *TEXTS)
    models = dict(zip(form.models or (), ("tea", "coffee"), strict=False))
    return Importer(
        name=form.name,
        description=f"{', '.join(texts)}, {form.code} ({form.codes})",
        example={**dict(zip(texts, values, strict=True)), **models, form.code: form.example},
        needs=(*texts, form.code),
        matches=lambda row: filled(row, *texts) and form.code in row,
        convert=partial(_convert, form=form),
        reads=BESIDE.union(
            *(texts, (form.code, ANNOTATOR), form.models or (), form.scores or ()), OF_INSTRUCTION.get(form.prompt, ())
        ),
        harmless=frozenset(form.harmless),
    )


CODED: tuple[Importer[Comparison], ...] = tuple(map(_importer, FORMS))
ALPACA_EVAL = CODED[0]

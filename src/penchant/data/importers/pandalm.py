"""Import PandaLM's test set: an instruction with its input, two responses, and the votes of several annotators.

cmp_key names the two models, joined by an underscore; annotatorN is 1 (the first), 2 (the second) or 0 (a tie). A
model's verdict on the same rows, `gpt_result`, is read as a further annotator if present: "1", "2", "Tie", or
"garbage" for no answer. Data: Wang et al. 2023, "PandaLM" (arXiv 2306.05087).
"""

from collections.abc import Iterator

from penchant.data.files import Row
from penchant.data.importers.alpaca import question_of
from penchant.data.importers.base import Importer, field, filled, text_field
from penchant.data.importers.judged import coded, compared
from penchant.data.importers.vote_fields import OUTCOMES, Vote, digest_of_parts, refuse_same, unit_of
from penchant.data.records import Comparison, Outcome
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["PANDALM", "PANDALM_VOTES"]

ANNOTATORS = tuple(f"annotator{n}" for n in range(1, 1000))
RESULT = "gpt_result"
RESPONSES = ("response1", "response2")
CODES: dict[str, Outcome | None] = {"0": "tie", "1": "a", "2": "b"}
CODES_OF_RESULT: dict[str, Outcome | None] = {"tie": "tie", "1": "a", "2": "b", "garbage": None}


def convert(row: Row) -> tuple[Comparison, ...]:
    """One comparison per annotator."""
    texts = text_field(row, RESPONSES[0]), text_field(row, RESPONSES[1])
    prompt, models = question_of(row), _models(row) if filled(row, "cmp_key") else (None, None)
    return tuple(compared(prompt, texts, said, models=models, annotator=name) for name, said in _answers(row))


def convert_votes(row: Row) -> tuple[Vote, ...]:
    """The votes alone; a table of votes needs no texts."""
    left, right = refuse_same(*_models(row))
    prompt = digest_of_parts(row.get("instruction"), row.get("input"))
    unit = unit_of(prompt, (left, row.get(RESPONSES[0])), (right, row.get(RESPONSES[1])))
    return tuple(Vote(left, right, OUTCOMES[said], prompt, unit, name) for name, said in _answers(row))


def _models(row: Row) -> tuple[str, str]:
    models = str(field(row, "cmp_key")).split("_")
    if len(models) != 2:
        reason = f"'cmp_key' is {shown(row['cmp_key'])}, which does not name two models"
        raise BadRow("bad_type", reason, "write two names with one underscore between")
    return models[0], models[1]


def _answers(row: Row) -> Iterator[tuple[str, Outcome]]:
    for name in (name for name in ANNOTATORS if name in row):
        if (said := coded(row, name, CODES)) is not None:
            yield name, said
    if RESULT in row and (said := coded(row, RESULT, CODES_OF_RESULT)) is not None:
        yield RESULT, said


_READS = frozenset(("cmp_key", "instruction", "input", "history", *RESPONSES, *ANNOTATORS, RESULT))
_HARMLESS = frozenset(("motivation_app", "gpt_reason", "gpt_reference"))

PANDALM: Importer[tuple[Comparison, ...]] = Importer(
    name="pandalm",
    description="instruction, input, response1, response2, annotator1, annotator2, ... (0 tie, 1 or 2)",
    example={
        "cmp_key": "tea_coffee",
        "instruction": "What is the sun?",
        "input": "",
        "response1": "A star, the nearest one.",
        "response2": "A lamp.",
        "annotator1": 1,
        "annotator2": 0,
    },
    needs=("instruction", *RESPONSES),
    matches=lambda row: filled(row, "instruction", *RESPONSES) and ("annotator1" in row or RESULT in row),
    convert=convert,
    reads=_READS,
    harmless=_HARMLESS,
)

PANDALM_VOTES: Importer[tuple[Vote, ...]] = Importer(
    name="pandalm",
    description="cmp_key (two models with an underscore between), annotator1, annotator2, ... (0 tie, 1 or 2)",
    example={"cmp_key": "tea_coffee", "instruction": "Wake me.", "annotator1": 1, "annotator2": 0},
    needs=("cmp_key", "annotator1"),
    matches=lambda row: "cmp_key" in row and "annotator1" in row,
    convert=convert_votes,
    reads=_READS,
    harmless=_HARMLESS,
)

"""Import OpenAI's WebGPT comparisons: a question, two answers, and a score for each; the two scores sum to 0.

They are published as rows of question, answer_0, score_0, answer_1, score_1, and as lines of two records, one per
answer. The answer with the positive score is better; 0 is a tie. White space around the texts is removed: answers often
begin with a space, and questions end with the empty body of a post. Citations such as [1] are kept, and so is a body
that reads [removed]. Data: Nakano et al. 2021, "WebGPT" (arXiv 2112.09332), appendix K.
"""

from collections.abc import Iterator

from penchant.data.files import Row
from penchant.data.importers.base import Importer, beyond, field, filled, text_field
from penchant.data.importers.judged import asked, by_score, compared, two_of
from penchant.data.importers.packed import spelt
from penchant.data.opening import LISTED
from penchant.data.records import Comparison
from penchant.data.verdicts import BadRow

__all__ = ["WEBGPT", "WEBGPT_LINES"]

ANSWERS, SCORES = ("answer_0", "answer_1"), ("score_0", "score_1")
OF_RECORD = frozenset(("question", "answer", "score", "quotes", "tokens"))
OF_QUESTION = frozenset(("full_text", "dataset", "id"))


def convert(row: Row) -> Comparison:
    """Convert a row of the data set as published on the Hub."""
    texts = text_field(row, ANSWERS[0]).strip(), text_field(row, ANSWERS[1]).strip()
    return compared(asked(_question(row)), texts, by_score(row, *SCORES))


def convert_line(row: Row) -> Comparison:
    """Convert the two records of a line of the original file, which share a question."""
    records = two_of(row, LISTED, dict)
    first, second = (_question(record) for record in records)
    if first != second:
        raise BadRow("prompts_differ", "the two records ask different things", "give both the same question")
    texts = [text_field(record, "answer").strip() for record in records]
    scores = {name: record.get("score") for name, record in zip(SCORES, records, strict=True)}
    return compared(asked(first), (texts[0], texts[1]), by_score(scores, *SCORES))


def _question(row: Row) -> str:
    """The text of a question: an object that includes its source, or only the text."""
    value = spelt(field(row, "question"))
    return text_field(value, "full_text").strip() if isinstance(value, dict) else text_field(row, "question").strip()


def _inside(row: Row) -> Iterator[tuple[str, Row]]:
    question = spelt(row["question"])
    if isinstance(question, dict):
        yield "question.", beyond(question, OF_QUESTION)


def _inside_line(row: Row) -> Iterator[tuple[str, Row]]:
    for record in row[LISTED]:
        yield f"{LISTED}.", beyond(record, OF_RECORD)
        yield from ((f"{LISTED}.{where}", held) for where, held in _inside(record))


def _is_line(row: Row) -> bool:
    records = row.get(LISTED)
    if not isinstance(records, list) or len(records) != len(ANSWERS):
        return False
    return all(isinstance(record, dict) and filled(record, "question", "answer") for record in records)


_QUESTION = {"dataset": "eli5", "id": "q1", "full_text": "What is the sun?"}
WEBGPT: Importer[Comparison] = Importer(
    name="webgpt",
    description="question (with full_text), answer_0, score_0, answer_1, score_1",
    example={
        "question": _QUESTION,
        "answer_0": "A star, the nearest one.",
        "score_0": 0.5,
        "answer_1": "A lamp.",
        "score_1": -0.5,
    },
    needs=("question", *ANSWERS, *SCORES),
    matches=lambda row: filled(row, "question", *ANSWERS) and row.keys() >= set(SCORES),
    convert=convert,
    reads=frozenset(("question", *ANSWERS, *SCORES)),
    harmless=frozenset(("quotes_0", "quotes_1", "tokens_0", "tokens_1")),
    inside=_inside,
)

WEBGPT_LINES: Importer[Comparison] = Importer(
    name="webgpt_lines",
    description="a list of two records, each with question, answer, score",
    example={
        LISTED: [
            {"question": _QUESTION, "answer": "A star, the nearest one.", "score": 0.5},
            {"question": _QUESTION, "answer": "A lamp.", "score": -0.5},
        ]
    },
    needs=(LISTED,),
    matches=_is_line,
    convert=convert_line,
    reads=frozenset((LISTED,)),
    inside=_inside_line,
)

"""Import HelpSteer and HelpSteer 2: consecutive rows with the same prompt, each a response with five ratings.

The score is `helpfulness`, the overall judgement; the other four explain it. Later turns of a prompt are marked as in
NVIDIA's own templates, by `<extra_id_1>User` or `<extra_id_1>Assistant` on a line of its own.
"""

import re
from collections.abc import Iterator

from penchant.data.answer_lists import Answer, AnswerList
from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, beyond, opened, text_field
from penchant.data.importers.named import QUESTION
from penchant.data.importers.values import number_in
from penchant.data.quickly import text_message
from penchant.data.records import Message, Role

__all__ = ["HELPSTEER", "MEASURES", "RATED", "marked_turns"]

MEASURES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
RATED = "rated responses"
"""The field that holds the rows of one prompt after merging."""
READ_OF_RESPONSE = BESIDE.union(("prompt", "response", "domain", "language", "split"), MEASURES)
TURN = re.compile(r"\n*<extra_id_1>(User|Assistant)\n")
ROLES: dict[str, Role] = {"User": "user", "Assistant": "assistant"}


def _turns(text: str) -> tuple[Message, ...]:
    """The turns of the prompt; the first is the user's."""
    first, *later = TURN.split(text)
    turns = [text_message("user", first)] if first.strip() or not later else []
    turns += [text_message(ROLES[role], said) for role, said in zip(later[::2], later[1::2], strict=True)]
    if len(turns) > 1 and turns[-1].role == "assistant" and not turns[-1].content.strip():
        turns.pop()  # the place of the response
    return tuple(turns)


def marked_turns(row: Row, name: str) -> tuple[Message, ...]:
    """The prompt in the field of this name, with the row's system message and tools."""
    return opened(row, _turns(text_field(row, name)))


def _list(row: Row) -> AnswerList:
    rated: list[Row] = row[RATED]
    answers = [
        Answer(response=text_field(one, "response"), score=number_in(one.get("helpfulness"), "helpfulness"))
        for one in rated
    ]
    return AnswerList(prompt=marked_turns(row, "prompt"), answers=tuple(answers))


def _inside(row: Row) -> Iterator[tuple[str, Row]]:
    for one in row[RATED]:
        yield "", beyond(one, READ_OF_RESPONSE)


HELPSTEER = Importer(
    name="helpsteer",
    description="prompt, response, helpfulness, correctness and so on, a row for each response",
    example={
        "prompt": QUESTION,
        RATED: [
            {"prompt": QUESTION, "response": "A lamp.", "helpfulness": 1, "correctness": 0},
            {"prompt": QUESTION, "response": "A star, the nearest one.", "helpfulness": 4, "correctness": 4},
        ],
    },
    needs=(),
    matches=lambda row: isinstance(held := row.get(RATED), list) and all(isinstance(one, dict) for one in held),
    convert=_list,
    reads=BESIDE.union(("prompt", RATED)),
    inside=_inside,
    needs_one_of=(frozenset((RATED,)),),
)

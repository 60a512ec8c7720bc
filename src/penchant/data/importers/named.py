"""Import pairs whose question, chosen and rejected response have other names than prompt, chosen, rejected.

Each format is a row of NAMES: the fields of the question, the chosen and the rejected response, from public
data: Intel's Orca pairs (question), LLaMA-Factory's (instruction with input, history and system), Distilabel's (input),
Argilla's UltraFeedback (chosen_response), pairs from Stack Exchange (response_j is the better one),
ms-swift's (rejected_response), the edits of HelpSteer 3 (an edited response over the original, a good edit over a bad).
"""

from functools import partial

from penchant.data.files import Row
from penchant.data.importers.alpaca import question_of
from penchant.data.importers.base import (
    BESIDE,
    NUMBERS,
    Importer,
    conversation_field,
    field,
    filled,
    opened,
    prompt_field,
)
from penchant.data.importers.scores import COLUMNS, agreed, columns_beside, numbers_beside
from penchant.data.importers.sides import JUDGEMENT, are_texts, is_conversation, pair_of
from penchant.data.importers.values import kind_of, says_nothing
from penchant.data.records import Message, PreferencePair
from penchant.data.verdicts import CODES, BadRow

__all__ = ["DISTILABEL", "NAMED", "RANKED_OUTPUT"]

NAMES = (
    ("question", "chosen", "rejected"),
    ("instruction", "chosen", "rejected"),
    ("query", "chosen", "rejected"),
    ("input", "chosen", "rejected"),
    ("messages", "chosen", "rejected"),
    ("prompt", "chosen_response", "rejected_response"),
    ("instruction", "chosen_response", "rejected_response"),
    ("question", "response_j", "response_k"),
    ("input", "accepted", "rejected"),
    ("query", "response", "rejected_response"),
    ("context", "good_edited_response", "bad_edited_response"),
    ("context", "edited_response", "original_response"),
)
OF_INSTRUCTION = frozenset(("input", "history"))
"""Fields read besides an instruction, as in Alpaca's form."""
STATUSES = ("tie", "unchanged", "swapped")
"""Distilabel's new ratings of Intel's pairs; swapped pairs are already in the right order."""


def prompt_of(row: Row, name: str) -> tuple[Message, ...]:
    """The prompt in the field of this name."""
    if name == "instruction" and isinstance(row[name], str):
        return opened(row, question_of(row))
    if name == "instruction" and (
        beside := [more for more in sorted(OF_INSTRUCTION) if not says_nothing(row.get(more))]
    ):
        reason = f"'{beside[0]}' is not read beside an 'instruction' that is a list of messages"
        raise BadRow("unread_field", reason, "write it into the messages, or remove it")
    return conversation_field(row, name) if name == "messages" else prompt_field(row, name)


def convert(row: Row, *, names: tuple[str, str, str]) -> PreferencePair:
    return pair_of(row, prompt_of(row, names[0]), names[1:])


def matches(row: Row, *, names: tuple[str, str, str]) -> bool:
    return filled(row, *names) and not are_texts(row[names[1]]) and not _repeats(row, *names[:2])


def _repeats(row: Row, question: str, chosen: str) -> bool:
    """Whether the messages beside two whole conversations repeat one of them, and so are no question."""
    return question == "messages" and is_conversation(row[chosen])


def _named(*names: str) -> Importer[PreferencePair]:
    question, chosen, rejected = names
    return Importer(
        name="_".join(names),
        description=f"{question}{' (with input)' if question == 'instruction' else ''}, {chosen}, {rejected}",
        example={
            question: [{"role": "user", "content": QUESTION}] if question == "messages" else QUESTION,
            chosen: "A star, the nearest one.",
            rejected: "A lamp.",
        },
        needs=names,
        matches=partial(matches, names=(question, chosen, rejected)),
        convert=partial(convert, names=(question, chosen, rejected)),
        reads=BESIDE.union(NUMBERS, names, OF_INSTRUCTION if question == "instruction" else ()),
        harmless=JUDGEMENT,
    )


QUESTION = "What is the sun?"
NAMED: tuple[Importer[PreferencePair], ...] = tuple(_named(*names) for names in NAMES)


DISTILABEL = Importer(
    name="distilabel_pair",
    description="input, chosen, rejected, status (tie, unchanged or swapped)",
    example={
        "input": QUESTION,
        "chosen": "A star, the nearest one.",
        "rejected": "A lamp.",
        "status": "unchanged",
        "rating": [9.0, 2.0],
    },
    needs=("input", "chosen", "rejected", "status"),
    matches=lambda row: (
        filled(row, "input", "chosen", "rejected") and str(row.get("status")).strip().lower() in STATUSES
    ),
    convert=partial(convert, names=("input", "chosen", "rejected")),
    reads=BESIDE.union(NUMBERS, ("input", "chosen", "rejected", "status", "rating")),
    harmless=JUDGEMENT,
)


def _ranked(row: Row) -> PreferencePair:
    output = field(row, "output")
    if not isinstance(output, list) or len(output) != 2 or not all(isinstance(one, str) for one in output):
        held = f"holds {len(output)} responses" if isinstance(output, list) else f"is {kind_of(output)}"
        raise BadRow("bad_type", f"'output' {held}", "give a list of two texts, the better one first")
    sides = dict(zip(("chosen", "rejected"), output, strict=True))
    beside = columns_beside(row, len(output))
    agreed([("output", [1.0, 0.0]), *beside], len(output))
    better, worse = agreed(beside, len(output))
    if better is not None and better == worse:
        raise BadRow("tie", f"its two scores are equal: {CODES['tie'].meaning}", "nothing to fix")
    return pair_of(row | sides, prompt_of(row, "instruction"))


RANKED_OUTPUT = Importer(
    name="ranked_output",
    description="instruction (with input), output (a list of two responses, the better one first)",
    example={"instruction": QUESTION, "output": ["A star, the nearest one.", "A lamp."]},
    needs=("instruction", "output"),
    matches=lambda row: isinstance(row.get("output"), list) and filled(row, "instruction"),
    convert=_ranked,
    reads=BESIDE.union(NUMBERS, OF_INSTRUCTION, COLUMNS, ("instruction", "output")),
    inside=lambda row: [("", numbers_beside(row))],
)

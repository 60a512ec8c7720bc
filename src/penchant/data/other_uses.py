"""Suggest the command that reads a row which the current command cannot read."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from penchant.data.fields import unread_of
from penchant.data.importers import Importer
from penchant.data.importers.answer_lists import QUESTIONS
from penchant.data.importers.base import as_tuple
from penchant.data.importers.sides import SIDES
from penchant.data.importers.values import says_nothing
from penchant.data.opening import Row
from penchant.data.read_as import TABLES
from penchant.data.verdicts import BadRow

__all__ = ["other_use"]

USES = {
    "pairs": "`penchant dpo` reads them, as preference pairs",
    "labelled": '`penchant dpo` with `objective="kto"` reads them, as labelled responses',
    "demonstrations": "`penchant sft` reads them, as demonstrations",
    "votes": "`penchant rank` reads them, as votes",
    "prompts": "`penchant sample` reads them, as prompts",
}
"""The command for what each table holds; the first that fits is named."""
PARTS = {
    ("gpt_result", "gpt_reason"): "these are a judge's verdicts, which belong in the judged rows of the same `idx`",
    ("context", "response", "feedback"): "it says in words how good one response is, but holds no pair",
    ("context", "response", "principle", "fulfilment"): "it says if a response keeps to a principle, but holds no pair",
}
"""Files that are part of a public data set and hold nothing to train on or to rank, by their columns."""


def other_use(row: Row, asked: Sequence[Importer[Any]]) -> str | None:
    """What reads the row, and as what, or why nothing does; None if no other table's format matches.

    asked: the formats that did not match.
    """
    for names, said in PARTS.items():
        if row.keys() >= set(names):
            return said
    if (
        row.keys() >= set(SIDES)
        and row.keys().isdisjoint(QUESTIONS)
        and all(isinstance(row[name], str) for name in SIDES)
    ):
        return "its two texts do not show where the prompt ends, so write the prompt in a field of its own, 'prompt'"
    # battles need texts to be pairs but not to be votes; lists need models to be votes
    tried = {(one.name, one.needs) for one in asked if row.keys() >= set(one.needs) and one.matches(row)}
    for kind, command in USES.items():
        if any((one.name, one.needs) not in tried and _takes(one, row, kind) for one in TABLES[kind]):
            return command
    return None


def _takes(one: Importer[Any], row: Row, kind: str) -> bool:
    try:
        if row.keys() >= set(one.needs) and one.matches(row):
            unread = unread_of(row, one, as_tuple(one.convert(row)))
            # sampling would ignore the answers, which does not help someone who trains on them
            return kind != "prompts" or not (unread or any(not says_nothing(row.get(name)) for name in one.harmless))
    except (BadRow, ValidationError):
        pass
    return False

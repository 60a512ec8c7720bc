"""Import instruction, input, output: the form of the Alpaca data, with the history that LLaMA-Factory adds."""

import json
from typing import Any

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, filled, opened, require_question, text_field
from penchant.data.importers.values import kind_of, says_nothing
from penchant.data.quickly import text_message
from penchant.data.records import Demonstration, Message, Role
from penchant.data.verdicts import BadRow

__all__ = ["ALPACA", "question_of"]

NEEDS = ("instruction", "output")


def convert(row: Row) -> Demonstration:
    """`system` comes first, then the turns of `history`, which are trained on like the answer."""
    messages = question_of(row)
    answer = text_message("assistant", text_field(row, "output"))
    return Demonstration(messages=(*require_question(opened(row, messages)), answer))


def question_of(row: Row) -> tuple[Message, ...]:
    """The user's message: the instruction and, after a blank line, the input if there is one.

    The turns of `history`, [[user, assistant], ...], precede it.
    """
    question = text_field(row, "instruction")
    if not says_nothing(row.get("input")):
        question = f"{question}\n\n{text_field(row, 'input')}"
    return (*_history(row.get("history")), text_message("user", question))


def _history(value: Any) -> tuple[Message, ...]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow("bad_type", "'history' is text that is not JSON", "write [[user, assistant], ...]") from None
    if says_nothing(value):
        return ()
    turns = value if isinstance(value, list) else [value]
    for turn in turns:
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(text, str) for text in turn):
            reason = f"'history' must be a list of [user, assistant], got {kind_of(turn)} in it"
            raise BadRow("bad_type", reason, "write [[user, assistant], ...], both of them texts")
    roles: tuple[Role, Role] = ("user", "assistant")
    return tuple(text_message(role, text) for turn in turns for role, text in zip(roles, turn, strict=True))


ALPACA = Importer(
    name="alpaca",
    description="instruction, output (text), with input, history and system where needed",
    example={"instruction": "Name the star.", "input": "It is the nearest one.", "output": "The sun."},
    needs=NEEDS,
    matches=lambda row: filled(row, *NEEDS),
    convert=convert,
    reads=BESIDE.union(NEEDS, ("input", "history")),
    harmless=frozenset(("text",)),
)

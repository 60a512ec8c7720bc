"""instruction, input, output: the form of the Alpaca data."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, text_field
from penchant.data.records import Demonstration, Message

__all__ = ["ALPACA"]


def matches(row: Row) -> bool:
    return {"instruction", "output"} <= row.keys()


def convert(row: Row) -> Demonstration:
    """The user says the instruction and, after a blank line, the input where there is one; `system` comes first."""
    question = text_field(row, "instruction")
    answer = Message(role="assistant", content=text_field(row, "output"))
    if row.get("input"):
        question = f"{question}\n\n{text_field(row, 'input')}"
    messages: tuple[Message, ...] = (Message(role="user", content=question), answer)
    if row.get("system"):
        messages = (Message(role="system", content=text_field(row, "system")), *messages)
    return Demonstration(messages=messages)


ALPACA = Importer(
    name="alpaca",
    description="instruction, output (text), with input and system where needed",
    example={"instruction": "Name the star.", "input": "It is the nearest one.", "output": "The sun."},
    matches=matches,
    convert=convert,
)

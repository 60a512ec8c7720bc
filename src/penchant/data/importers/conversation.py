"""Import messages, or ShareGPT's conversations: a whole conversation that ends with the assistant."""

from functools import partial

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, conversation_field, require_question
from penchant.data.records import Demonstration
from penchant.data.verdicts import BadRow

__all__ = ["MESSAGES", "SHAREGPT"]


def matches(row: Row, *, name: str) -> bool:
    return isinstance(row.get(name), list)


def convert(row: Row, *, name: str) -> Demonstration:
    """A demonstration; every answer is trained on except those of weight 0."""
    messages = conversation_field(row, name, trained=True)
    if messages[-1].role != "assistant":
        reason = f"the last message of '{name}' is the {messages[-1].role}'s"
        raise BadRow("bad_type", reason, "end it with the assistant's response")
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if answers[0]:
        require_question(messages[: answers[0]])
    return Demonstration(messages=messages)


MESSAGES = Importer(
    name="messages",
    description="messages (a list of {role, content} that ends with the assistant)",
    example={
        "messages": [
            {"role": "user", "content": "What is the sun?"},
            {"role": "assistant", "content": "A star, the nearest one."},
        ]
    },
    needs=("messages",),
    matches=partial(matches, name="messages"),
    convert=partial(convert, name="messages"),
    reads=BESIDE | {"messages"},
    harmless=frozenset(("text",)),
)

SHAREGPT = Importer(
    name="sharegpt",
    description="conversations (a list of {from, value} that ends with gpt)",
    example={
        "conversations": [
            {"from": "human", "value": "What is the sun?"},
            {"from": "gpt", "value": "A star, the nearest one."},
        ]
    },
    needs=("conversations",),
    matches=partial(matches, name="conversations"),
    convert=partial(convert, name="conversations"),
    reads=BESIDE | {"conversations"},
    harmless=frozenset(("text",)),
)

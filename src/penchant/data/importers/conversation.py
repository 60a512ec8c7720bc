"""messages, or ShareGPT's conversations: a whole conversation that ends with the assistant."""

from functools import partial

from penchant.data.files import Row
from penchant.data.importers.base import Importer, last_response, messages_field
from penchant.data.records import Demonstration

__all__ = ["MESSAGES", "SHAREGPT"]


def matches(row: Row, *, name: str) -> bool:
    return isinstance(row.get(name), list)


def convert(row: Row, *, name: str) -> Demonstration:
    messages = messages_field(row, name)
    last_response(messages, name)
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
    matches=partial(matches, name="messages"),
    convert=partial(convert, name="messages"),
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
    matches=partial(matches, name="conversations"),
    convert=partial(convert, name="conversations"),
)

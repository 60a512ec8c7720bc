"""prompt, messages, or a line of a .txt file: what a model is asked."""

import hashlib

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, NUMBERS, Importer, conversation_field, prompt_field
from penchant.data.records import Message, Prompt, prompt_key

__all__ = ["PROMPT", "PROMPT_LINE", "PROMPT_MESSAGES"]

ANSWERS = NUMBERS.union(
    ("chosen", "rejected", "completion", "response", "response_a", "response_b", "answer", "output", "reference"),
    ("a", "b", "outcome", "strength", "shown_first", "label", "train", "trainable", "text"),
)
"""What rows of training say of answers, which nobody needs who asks for new ones."""


def make_prompt(row: Row, messages: tuple[Message, ...]) -> Prompt:
    """The id is the row's own, or else the first 16 hex digits of the sha256 of `prompt_key`."""
    given = row.get("id")
    digest = hashlib.sha256(prompt_key(messages).encode()).hexdigest()[:16]
    return Prompt(messages=messages, id=digest if given is None else str(given))


PROMPT = Importer(
    name="prompt",
    description="prompt (text or messages)",
    example={"prompt": "What is the sun?"},
    needs=("prompt",),
    matches=lambda row: isinstance(row.get("prompt"), str | list),
    convert=lambda row: make_prompt(row, prompt_field(row, "prompt")),
    reads=BESIDE | {"prompt", "id"},
    harmless=ANSWERS,
)

PROMPT_MESSAGES = Importer(
    name="prompt_messages",
    description="messages (a list of {role, content} that ends with the user)",
    example={"messages": [{"role": "user", "content": "What is the sun?"}]},
    needs=("messages",),
    matches=lambda row: isinstance(row.get("messages"), list),
    convert=lambda row: make_prompt(row, conversation_field(row, "messages")),
    reads=BESIDE | {"messages", "id"},
    harmless=ANSWERS,
)

PROMPT_LINE = Importer(
    name="prompt_line",
    description="text (a prompt; each line of a .txt file is one)",
    example={"text": "What is the sun?"},
    needs=("text",),
    matches=lambda row: isinstance(row.get("text"), str),
    convert=lambda row: make_prompt(row, prompt_field(row, "text")),
    reads=BESIDE | {"text", "id"},
    harmless=ANSWERS,
)

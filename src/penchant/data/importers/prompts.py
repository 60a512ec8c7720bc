"""prompt, messages, or a line of a .txt file: what a model is asked."""

import hashlib

from penchant.data.files import Row
from penchant.data.importers.base import Importer, messages_field, prompt_field
from penchant.data.records import Message, Prompt, prompt_key
from penchant.data.verdicts import BadRow

__all__ = ["PROMPT", "PROMPT_LINE", "PROMPT_MESSAGES"]


def make_prompt(row: Row, messages: tuple[Message, ...]) -> Prompt:
    """The id is the row's own, or else the first 16 hex digits of the sha256 of `prompt_key`."""
    if messages[-1].role == "assistant":
        reason = "the last message is the assistant's, so the prompt is already answered"
        raise BadRow("bad_type", reason, "end the prompt with the user's message")
    if not any(message.content.strip() for message in messages):
        raise BadRow("missing_field", "the prompt is empty", "write a prompt")
    given = row.get("id")
    digest = hashlib.sha256(prompt_key(messages).encode()).hexdigest()[:16]
    return Prompt(messages=messages, id=digest if given is None else str(given))


PROMPT = Importer(
    name="prompt",
    description="prompt (text or messages)",
    example={"prompt": "What is the sun?"},
    matches=lambda row: isinstance(row.get("prompt"), str | list),
    convert=lambda row: make_prompt(row, prompt_field(row, "prompt")),
)

PROMPT_MESSAGES = Importer(
    name="prompt_messages",
    description="messages (a list of {role, content} that ends with the user)",
    example={"messages": [{"role": "user", "content": "What is the sun?"}]},
    matches=lambda row: isinstance(row.get("messages"), list),
    convert=lambda row: make_prompt(row, messages_field(row, "messages")),
)

PROMPT_LINE = Importer(
    name="prompt_line",
    description="text (a prompt; each line of a .txt file is one)",
    example={"text": "What is the sun?"},
    matches=lambda row: isinstance(row.get("text"), str),
    convert=lambda row: make_prompt(row, prompt_field(row, "text")),
)

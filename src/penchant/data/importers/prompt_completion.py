"""prompt, completion: one question and its answer."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, prompt_field, response_field
from penchant.data.records import Demonstration, Message

__all__ = ["PROMPT_COMPLETION"]


def matches(row: Row) -> bool:
    return {"prompt", "completion"} <= row.keys()


def convert(row: Row) -> Demonstration:
    prompt = prompt_field(row, "prompt")
    completion = Message(role="assistant", content=response_field(row, "completion", prompt))
    return Demonstration(messages=(*prompt, completion))


PROMPT_COMPLETION = Importer(
    name="prompt_completion",
    description="prompt (text or messages), completion (text, message or messages)",
    example={"prompt": "What is the sun?", "completion": "A star, the nearest one."},
    matches=matches,
    convert=convert,
)

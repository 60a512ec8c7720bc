"""Import prompt, completion: one question and its answer."""

from penchant.data.files import Row
from penchant.data.importers.base import BESIDE, Importer, filled, prompt_field, require_question, response_field
from penchant.data.quickly import as_message
from penchant.data.records import Demonstration

__all__ = ["PROMPT_COMPLETION"]

NEEDS = ("prompt", "completion")


def convert(row: Row) -> Demonstration:
    """A demonstration; the completion is trained on, and so are the answers in a multi-turn prompt."""
    prompt = require_question(prompt_field(row, "prompt", trained=True))
    return Demonstration(messages=(*prompt, as_message(response_field(row, "completion", prompt))))


PROMPT_COMPLETION = Importer(
    name="prompt_completion",
    description="prompt (text or messages), completion (text, message or messages)",
    example={"prompt": "What is the sun?", "completion": "A star, the nearest one."},
    needs=NEEDS,
    matches=lambda row: filled(row, *NEEDS),
    convert=convert,
    reads=BESIDE.union(NEEDS),
)

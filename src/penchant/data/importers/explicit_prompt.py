"""prompt, chosen, rejected: the prompt has a field of its own."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, prompt_field, response_field
from penchant.data.records import PreferencePair

__all__ = ["EXPLICIT_PROMPT"]

OPTIONAL = ("weight", "probability", "margin")


def matches(row: Row) -> bool:
    return {"prompt", "chosen", "rejected"} <= row.keys()


def convert(row: Row) -> PreferencePair:
    """weight, probability and margin are read where the row has them; other fields are not."""
    prompt = prompt_field(row, "prompt")
    numbers = {name: row[name] for name in OPTIONAL if row.get(name) not in (None, "")}
    chosen, rejected = (response_field(row, side, prompt) for side in ("chosen", "rejected"))
    return PreferencePair(prompt=prompt, chosen=chosen, rejected=rejected, **numbers)


EXPLICIT_PROMPT = Importer(
    name="prompt_chosen_rejected",
    description="prompt (text or messages), chosen, rejected (text, message or messages)",
    example={"prompt": "What is the sun?", "chosen": "A star, the nearest one.", "rejected": "A lamp."},
    matches=matches,
    convert=convert,
)

"""prompt, completion, label: one response and whether it is good, the format of KTO."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, field, prompt_field, response_field
from penchant.data.records import Labelled
from penchant.data.verdicts import BadRow

__all__ = ["LABELLED"]

LABELS: dict[object, bool] = {"true": True, "1": True, "false": False, "0": False}
"""How csv spells a truth value."""


def matches(row: Row) -> bool:
    return {"prompt", "completion", "label"} <= row.keys()


def convert(row: Row) -> Labelled:
    prompt = prompt_field(row, "prompt")
    return Labelled(prompt=prompt, response=response_field(row, "completion", prompt), desirable=_label(row))


def _label(row: Row) -> bool:
    value = field(row, "label")
    label = value if isinstance(value, bool) else LABELS.get(str(value).strip().lower())
    if label is None:
        raise BadRow("bad_type", f"'label' must be true or false, got {value!r}", "write true for a good response")
    return label


LABELLED = Importer(
    name="labelled",
    description="prompt (text or messages), completion (text, message or messages), label (true or false)",
    example={"prompt": "What is the sun?", "completion": "A star, the nearest one.", "label": True},
    matches=matches,
    convert=convert,
)

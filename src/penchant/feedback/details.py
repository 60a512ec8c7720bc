"""What the store knows of an answer, as it stands in a comparison's meta: exports write it, imports read it.

The field is the store's own. Another program's value there is refused and not dropped: nothing is lost unseen.
"""

from reprlib import repr as shortened
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penchant.data.records import Comparison, Outcome
from penchant.feedback.records import ChosenBy, Kind, Text

__all__ = ["ANSWER_FIELD", "UNKNOWN", "Details", "details_of", "fault_of_details"]

ANSWER_FIELD = "answer"
"""The field of a comparison's meta that holds what the store knows of the answer; the rest of meta is the task's."""
UNKNOWN = "(unknown)"
"""Whoever gave imported answers that name nobody."""


class Details(BaseModel):
    """Each field may be left out; see `Answer` and schema.py for what they mean. gold: the task's right answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: Annotated[Text, Field(min_length=8, max_length=100)] | None = None
    kind: Kind = "main"
    chosen_by: ChosenBy = "import"
    probability: Annotated[float, Field(gt=0, le=1.000001)] | None = None
    seconds: Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False)] | None = None
    flags: list[Text] = []
    reasons: list[Text] = []
    comment: Text = ""
    gold: Outcome | None = None


def details_of(comparison: Comparison) -> Details:
    """Of a comparison without fault; the defaults for one from elsewhere."""
    return Details.model_validate(comparison.meta.get(ANSWER_FIELD) or {})


def fault_of_details(comparison: Comparison) -> str | None:
    """Why the details are not the store's; None where there are none, or nothing is wrong with them."""
    given = comparison.meta.get(ANSWER_FIELD)
    if given is None:
        return None
    if not isinstance(given, dict):
        return (
            f"meta.{ANSWER_FIELD} is {shortened(given)}, but there the store keeps what it knows of an answer; "
            "give the field another name"
        )
    try:
        Details.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, (ANSWER_FIELD, *first["loc"])))
        complaint = first["msg"] if first["msg"][:2].isupper() else first["msg"][:1].lower() + first["msg"][1:]
        return (
            f"meta.{field} is {shortened(first['input'])}: {complaint}; correct it, or where it is not of an export "
            f"to raw, give meta.{ANSWER_FIELD} another name"
        )
    return None

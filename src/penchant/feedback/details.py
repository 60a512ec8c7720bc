"""The store's details of an answer in a comparison's meta: exports write them, imports read them.

The field belongs to the store. Another program's value there is refused rather than silently dropped.
"""

from reprlib import repr as shortened
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penchant.data.records import Comparison, Outcome
from penchant.feedback.records import ChosenBy, Kind, Text

__all__ = ["ANSWER_FIELD", "UNKNOWN", "Details", "details_of", "fault_of_details"]

ANSWER_FIELD = "answer"
"""The field of a comparison's meta with the store's details of the answer; the rest of meta is the task's."""
UNKNOWN = "(unknown)"
"""The annotator of imported anonymous answers."""


class Details(BaseModel):
    """All fields are optional; see `Answer` and schema.py for what they mean. gold: the task's right answer."""

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
    """The details of a valid comparison; defaults for one from elsewhere."""
    return Details.model_validate(comparison.meta.get(ANSWER_FIELD) or {})


def fault_of_details(comparison: Comparison) -> str | None:
    """Why the details are invalid; None if there are none, or they are valid."""
    given = comparison.meta.get(ANSWER_FIELD)
    if given is None:
        return None
    if not isinstance(given, dict):
        return (
            f"meta.{ANSWER_FIELD} is {shortened(given)}, but Penchant keeps details of an answer in this field; "
            "give yours another name"
        )
    try:
        Details.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, (ANSWER_FIELD, *first["loc"])))
        complaint = first["msg"] if first["msg"][:2].isupper() else first["msg"][:1].lower() + first["msg"][1:]
        return (
            f"meta.{field} is {shortened(first['input'])}: {complaint}; correct it, or, if Penchant did not write the "
            f"file, give meta.{ANSWER_FIELD} another name"
        )
    return None

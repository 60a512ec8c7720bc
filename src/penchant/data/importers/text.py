"""Import text: a plain document, from a row or from a .txt file."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, text_field
from penchant.data.importers.packed import messages_spelt
from penchant.data.records import Document
from penchant.data.verdicts import BadRow

__all__ = ["TEXT"]


def matches(row: Row) -> bool:
    return isinstance(row.get("text"), str)


def convert(row: Row) -> Document:
    text = text_field(row, "text")
    if messages_spelt(text, "text") is not text:
        reason = "'text' is a list of messages written as text, and its brackets would be learned too"
        raise BadRow("bad_type", reason, 'read the column as messages: `columns="text=messages"`')
    return Document(text=text)


TEXT = Importer(
    name="text",
    description="text (a document)",
    example={"text": "Once there was a star."},
    needs=("text",),
    matches=matches,
    convert=convert,
    reads=frozenset(("text",)),
    harmless=frozenset(("label",)),  # the class of a text, such as a review, not a judgement of a response
)

"""text: a plain document, from a row or from a .txt file."""

from penchant.data.files import Row
from penchant.data.importers.base import Importer, text_field
from penchant.data.records import Document

__all__ = ["TEXT"]


def matches(row: Row) -> bool:
    return isinstance(row.get("text"), str)


def convert(row: Row) -> Document:
    return Document(text=text_field(row, "text"))


TEXT = Importer(
    name="text",
    description="text (a document)",
    example={"text": "Once there was a star."},
    needs=("text",),
    matches=matches,
    convert=convert,
    reads=frozenset(("text",)),
    harmless=frozenset(("label",)),  # the class of a text, as of a review, and no judgement of a response
)

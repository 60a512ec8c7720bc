"""The parts of output for people: lines of text, and tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Line", "Part", "Table"]


class Line(NamedTuple):
    """A highlighted line: a heading, an error, or a note."""

    text: str
    kind: Literal["heading", "fault", "note"]


class Table(NamedTuple):
    """Rows under their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


Part: TypeAlias = str | Line | Table

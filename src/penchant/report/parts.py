"""What is shown to a person, part by part: lines of text, and tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Part", "Table"]


class Table(NamedTuple):
    """Rows under their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


Part: TypeAlias = str | Table

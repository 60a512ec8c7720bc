"""Explain data that was nearly named correctly: a project in place of a file, a misspelt column."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from penchant.data.authors import is_project
from penchant.data.importers import Importer
from penchant.errors import DataError
from penchant.wording import nearest

__all__ = ["misspelt_column", "refuse_project"]


def refuse_project(path: Path) -> None:
    """Raise DataError where `path` is a project of votes, whose answers must first be exported."""
    if is_project(path):
        raise DataError(
            f"{path}: is a project of votes, not a file of data; export its answers with `penchant votes export` and "
            "name the file that it writes."
        )


def misspelt_column(columns: Collection[str], importers: Sequence[Importer[Any]]) -> tuple[str, str] | None:
    """(the column a format needs, the column probably meant), if exactly one is absent; else None."""
    for importer in importers:
        absent = importer.example.keys() - set(columns)
        near = nearest(next(iter(absent)), sorted(set(columns) - importer.example.keys())) if len(absent) == 1 else None
        if near:
            return absent.pop(), near
    return None

"""What to say of data that was nearly named right: a folder in a file's place, a column with a slip of the pen."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from penchant.data.importers import Importer
from penchant.errors import DataError

__all__ = ["misspelt_column", "refuse_folder"]


def refuse_folder(path: Path) -> None:
    """Raise DataError where `path` is a folder, which differs by whether it is a project of votes."""
    if not path.is_dir():
        return
    if (path / "project.yaml").is_file():
        raise DataError(
            f"{path}: is a project of votes, not a file of data; write its answers to one with "
            f"`penchant votes export {path} --to pairs --output pairs.jsonl` and name that."
        )
    raise DataError(f"{path}: is a folder without project.yaml, so no project of votes; name a file in it.")


def misspelt_column(columns: Collection[str], importers: Sequence[Importer[Any]]) -> tuple[str, str] | None:
    """(the column a format needs, the one that was perhaps meant as it), where just one is absent; else None."""
    for importer in importers:
        absent = importer.example.keys() - set(columns)
        near = get_close_matches(next(iter(absent)), set(columns) - importer.example.keys(), 1) if absent else []
        if len(absent) == 1 and near:
            return absent.pop(), near[0]
    return None

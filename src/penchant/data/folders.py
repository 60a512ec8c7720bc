"""Find the data files that a folder or a pattern names, in natural order: part-2 before part-10.

A folder is read completely or refused: only known names (README.md, hidden files) are skipped. Files of several
splits, of different formats or columns, and numbered shards with a gap are refused, because reading them together
would be silently wrong.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from penchant.data.files import SUPPORTED, columns_of, format_of
from penchant.data.unpacking import COMPRESSIONS
from penchant.errors import DataError

__all__ = ["files_of_folder", "files_of_pattern", "is_pattern"]

ASIDE = re.compile(
    r"[._].*|(readme|licen[cs]e|notice|changelog|source|citation)(\.(md|txt|rst|cff|bib))?|.*\.(md|lock|crc|sha256|md5|py)|.*\.votes\.json"
    r"|(dataset_infos?|dataset_dict|state)\.json",
    re.IGNORECASE,
)
"""Names of files that accompany data."""
SPLITS = {"training": "train", "testing": "test", "valid": "validation", "val": "validation", "dev": "validation"}
SPLIT = re.compile(rf"(train|test|validation|eval|{'|'.join(SPLITS)})(?=[-_.]|$)", re.IGNORECASE)
MOST_NAMED = 5
SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)(\..*)?")


def is_pattern(name: str) -> bool:
    """Whether this is a pattern such as `data/*.jsonl`, and no file of that name exists."""
    return glob.has_magic(name) and not os.path.lexists(name)


def files_of_pattern(pattern: str) -> list[Path]:
    """The files that a pattern matches; `**` matches any number of folders. Raises DataError where none does."""
    files = _in_order(Path(name) for name in glob.iglob(pattern, recursive=True) if os.path.isfile(name))
    if not files:
        raise DataError(f"{pattern}: no file matches this pattern; check it, or name a file.")
    _require_one_shape(pattern, files)
    return files


def files_of_folder(folder: Path) -> list[Path]:
    """The files of data in a folder, or what `datasets.save_to_disk` wrote into it. Raises DataError, see above."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions.") from error
    if not entries:
        raise DataError(f"{folder}: is an empty folder; name one that holds files of data, or a project of votes.")
    names = {entry.name for entry in entries}
    if "dataset_dict.json" in names:
        splits = _listed_in(folder / "dataset_dict.json", "splits")
        raise DataError(
            f"{folder}: holds the splits {_in_words(splits)} as `datasets` saved them; name one: "
            f"{folder / str(splits[0])}."
        )
    if {"state.json", "dataset_info.json"} <= names:
        return _saved(folder)
    files = _in_order(entry for entry in entries if entry.is_file() and not ASIDE.fullmatch(entry.name))
    _require_no_folders(folder, entries, files)
    _require_data(folder, files)
    _require_whole(folder, files)
    _require_one_shape(str(folder), files)
    return files


def _saved(folder: Path) -> list[Path]:
    """The shards that a saved data set names; shards left over from an earlier one are ignored."""
    files = []
    for entry in _listed_in(folder / "state.json", "_data_files"):
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name != os.path.basename(name):
            raise DataError(f"{folder / 'state.json'}: names a file outside its folder; save the data set again.")
        files.append(folder / name)
        if not files[-1].is_file():
            raise DataError(
                f"{files[-1]}: is missing, though {folder / 'state.json'} names it; save the data set again."
            )
    return files


def _listed_in(file: Path, key: str) -> list[object]:
    try:
        found = json.loads(file.read_bytes())[key]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, list) or not found:
        raise DataError(f"{file}: does not list its {key}, as `datasets` writes them; save the data set again.")
    return found


def _require_no_folders(folder: Path, entries: Sequence[Path], files: Sequence[Path]) -> None:
    inner = [entry for entry in entries if entry.is_dir() and not ASIDE.fullmatch(entry.name) and _holds_data(entry)]
    ending = "".join(files[0].suffixes) if files else ""
    if inner and files:
        raise DataError(
            f"{folder}: holds files of data, and so do its folders ({_in_words(one.name for one in inner)}); say which "
            f"files to read with a pattern, such as '{folder}/*{ending}' or '{folder}/**/*{ending}'."
        )
    if inner:
        raise DataError(
            f"{folder}: holds no file of data, but its folders do ({_in_words(one.name for one in inner)}); name one: "
            f"{inner[0]}."
        )


def _holds_data(folder: Path) -> bool:
    try:
        return any(_is_data(entry) for entry in folder.iterdir())
    except OSError:
        return False


def _is_data(entry: Path) -> bool:
    try:
        return entry.is_file() and not ASIDE.fullmatch(entry.name) and bool(format_of(entry))
    except DataError:
        return False


def _require_data(folder: Path, files: Sequence[Path]) -> None:
    """Raise DataError unless all files are data, of one format, and none is there twice."""
    found = [file for file in files if _is_data(file)]
    if not found:
        raise DataError(
            f"{folder}: holds no file of data ({', '.join(SUPPORTED)}) and is no project of votes, as it has no "
            "project.yaml; name a file."
        )
    how = f"say which files to read with a pattern, such as '{folder}/*{''.join(found[0].suffixes)}'"
    if strange := [file.name for file in files if file not in found]:
        raise DataError(f"{folder}: holds {strange[0]}, whose format is not read; {how}.")
    formats = sorted({_format(file) for file in files})
    if len(formats) > 1:
        raise DataError(f"{folder}: holds files of different formats ({_in_words(formats)}); {how}.")
    plain: dict[str, str] = {}
    for file in files:
        name = file.with_suffix("").name if file.suffix.lower() in COMPRESSIONS else file.name
        if (other := plain.setdefault(name, file.name)) != file.name:
            raise DataError(f"{folder}: holds {other} and {file.name}, the same data twice; keep one of them.")


def _format(file: Path) -> str:
    return {".ndjson": ".jsonl"}.get(ending := format_of(file), ending)


def _require_whole(folder: Path, files: Sequence[Path]) -> None:
    """Raise DataError unless the files are of one split and no numbered shard is missing."""
    splits = {SPLITS.get(name := found[1].lower(), name): None for file in files if (found := SPLIT.match(file.name))}
    if len(splits) > 1:
        first = next(found[1] for file in files if (found := SPLIT.match(file.name)))
        raise DataError(
            f"{folder}: holds the splits {_in_words(splits)}, and training on all would leave none to measure on; say "
            f"which to read with a pattern, such as '{folder}/{first}*'."
        )
    sets: dict[tuple[str, int], set[int]] = {}
    for file in files:
        if found := SHARD.fullmatch(file.name):
            sets.setdefault((found[1], int(found[3])), set()).add(int(found[2]))
    for (name, number), there in sets.items():
        if len(there) < number:
            missing = next(i for i in range(number) if i not in there)
            raise DataError(
                f"{folder}: of the {number} shards of {name}, number {missing} is missing; fetch it, or say which to "
                f"read with a pattern, such as '{folder}/{name}-*'."
            )


def _require_one_shape(where: str, files: Sequence[Path]) -> None:
    """Raise DataError unless all tables have the same columns; JSON objects may differ."""
    tables = [(file, columns) for file in files if (columns := columns_of(file)) is not None]
    for file, columns in tables[1:]:
        if only := sorted(set(columns) ^ set(tables[0][1])):
            raise DataError(
                f"{where}: {tables[0][0].name} and {file.name} have different columns (only one has "
                f"{_in_words(only)}); name the files one by one if both are meant."
            )


def _in_order(files: Iterable[Path]) -> list[Path]:
    """A sort key that compares digits in names as numbers."""

    def place(file: Path) -> list[tuple[int, str]]:
        return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", str(file))]

    return sorted(files, key=place)


def _in_words(names: Iterable[object]) -> str:
    shown = list(map(str, names))
    return ", ".join(shown[:MOST_NAMED]) + (f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else "")

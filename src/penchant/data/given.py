"""What a loader is given: the files, and what is to become of rows that cannot be used."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from penchant.data.files import require_file
from penchant.data.misnamed import refuse_folder
from penchant.errors import ConfigError, DataError

__all__ = ["OnBadRow", "Paths", "check_options", "digest_of"]

OnBadRow = Literal["error", "drop"]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def check_options(paths: Paths, on_bad_row: str, limit: int | None) -> list[Path]:
    """The files as a list. Raises DataError where there is none, ConfigError for a wrong option."""
    files = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if not files:
        raise DataError("no data file was given; name at least one.")
    for file in files:
        refuse_folder(file)
        require_file(file)
    if on_bad_row not in get_args(OnBadRow):
        raise ConfigError(f"on_bad_row must be error or drop, got {on_bad_row!r}.")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}; leave it out to read every row.")
    return files


def digest_of(files: Sequence[Path]) -> str:
    """sha256 (hex) over the bytes of the files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()

"""Keep standard input in a temporary file until the process ends, because data is read more than once.

The first bytes tell the format where they can: JSON, JSON lines, parquet, arrow, and the compression. They cannot tell
text formats; `-.csv`, `-.tsv` or `-.txt` names those.
"""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from penchant.data.files import SUPPORTED
from penchant.data.opening import open_bytes
from penchant.data.unpacking import COMPRESSIONS
from penchant.errors import DataError
from penchant.process import num_processes
from penchant.reading import os_reason

__all__ = ["NAME", "is_standard_input", "kept"]

NAME = "<stdin>"
MOST = 100_000_000_000
"""The most bytes kept."""
CHUNK = 1 << 20
PACKED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
BEGINNINGS = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\xff\xff\xff\xff": ".arrow", b"[": ".json", b"{": ".jsonl"}
GIVEN = re.compile(rf"-(({'|'.join(map(re.escape, SUPPORTED))})({'|'.join(map(re.escape, COMPRESSIONS))})?)?")

_kept: list[tuple[object, Path]] = []


def is_standard_input(name: str) -> bool:
    """Whether the path means standard input: `-`, or `-` with an extension."""
    return GIVEN.fullmatch(name) is not None


def kept(name: str, *, otherwise: str | None = None) -> Path:
    """The temporary file with all of standard input, read on the first call. otherwise: the extension if not JSON.

    Raises DataError where nothing is piped in, where it is too long, where its extension must be given, and in one of
    several processes, which would each read only a part.
    """
    if num_processes() > 1:
        raise DataError("-: standard input is read by one process, and several were started; name a file.")
    if not _kept or _kept[0][0] is not sys.stdin:
        _kept[:] = [(sys.stdin, _keep(sys.stdin.buffer if sys.stdin is not None else None))]
    path = _kept[0][1]
    ending = name[1:] or _ending(path, otherwise)
    named = path.with_name(f"stdin{ending}")
    if not named.exists():
        named.symlink_to(path)
    return named


def _keep(stream: BinaryIO | None) -> Path:
    if stream is None or stream.isatty():
        raise DataError("-: nothing is piped into standard input; pipe rows in, or name a file.")
    folder = Path(tempfile.mkdtemp(prefix="penchant-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path, num_bytes = folder / "kept", 0
    try:
        with path.open("wb") as target:
            while chunk := stream.read(CHUNK):
                num_bytes += len(chunk)
                if num_bytes > MOST:
                    raise DataError(
                        f"-: standard input is longer than {MOST:,} bytes; write it to a file and name that."
                    )
                target.write(chunk)
    except OSError as error:
        raise DataError(
            f"-: standard input cannot be kept in {folder} ({os_reason(error)}); make room there."
        ) from error
    if not num_bytes:
        raise DataError("-: standard input is empty; pipe rows in, or name a file.")
    return path


def _ending(path: Path, otherwise: str | None) -> str:
    with path.open("rb") as stream:
        begin = stream.read(64)
    packed = next((ending for magic, ending in PACKED.items() if begin.startswith(magic)), "")
    if packed:
        begin = _begin_inside(path, packed)
    begin = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    ending = next((ending for magic, ending in BEGINNINGS.items() if begin.startswith(magic)), otherwise)
    if ending is None:
        raise DataError(
            "-: standard input does not begin as JSON, parquet or arrow do; say what it is: -.csv, -.tsv or -.txt."
        )
    return ending + packed


def _begin_inside(path: Path, packed: str) -> bytes:
    named = path.with_name(f"packed{packed}")
    if not named.exists():
        named.symlink_to(path)
    try:
        with open_bytes(named) as stream:
            return stream.read(64)
    except DataError as error:
        raise DataError(str(error).replace(str(named), NAME)) from error

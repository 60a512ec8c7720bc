"""Decompress gzip, bzip2, xz or zstd files: to the end or with an error, and never beyond a size bound.

Files of several streams, as parallel compressors write them, are read to the last. Trailing data that is no stream
counts as damage; the standard library's readers of bzip2 and xz silently stop there.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from penchant.errors import DataError
from penchant.extras import install
from penchant.wording import reason_of

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # before Python 3.14
    zstd = None

__all__ = ["ALWAYS_ALLOWED", "COMPRESSIONS", "MAX_GROWTH", "most_bytes", "open_unpacked"]

MAX_GROWTH = 200
"""Compression makes text some 3 to 30 times smaller: only endlessly repeated data approaches 1,000."""
ALWAYS_ALLOWED = 100_000_000
"""Decompressed bytes that any file may reach."""
MAX_XZ_MEMORY = 256_000_000
"""Memory for xz, four times the need of its strongest preset; a file may request 4 GB."""
CHUNK = 1 << 16
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, *((zstd.ZstdError,) if zstd is not None else ()))
"""Errors that the readers raise for damaged data; pyarrow, bz2 and gzip raise an OSError without errno."""

Opener = Callable[[Path, BinaryIO], Any]


def open_unpacked(path: Path) -> BinaryIO:
    """The decompressed bytes of a file. Reading raises DataError if it is damaged or too large."""
    return cast(BinaryIO, io.BufferedReader(_Unpacked(path)))


def most_bytes(path: Path) -> int:
    """The most bytes that a compressed file may decompress to."""
    return max(ALWAYS_ALLOWED, MAX_GROWTH * path.stat().st_size)


class _Unpacked(io.RawIOBase):
    """The decompressed content of a file, up to a bound. Raises DataError beyond it, and where it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name, opener = COMPRESSIONS[path.suffix.lower()]
        self._file = path.open("rb")
        self._stream = opener(path, self._file)
        self._most = most_bytes(path)
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            read: int = self._stream.readinto(buffer)
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:  # raised by the system
                raise
            raise DataError(
                f"{self._path} is a damaged {self._name} file ({reason_of(error)}); fetch or compress it again."
            ) from error
        self._num_bytes += read
        if self._num_bytes > self._most:
            raise DataError(
                f"{self._path}: unpacks to more than {self._most:,} bytes, {MAX_GROWTH} times its size, as no real "
                "data does; if that is intended, unpack the file and give the result."
            )
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


class _Streams:
    """Compressed streams one after another, read by decompressors with the standard library's interface.

    padding: zero bytes may follow a stream, as in the xz format.
    """

    def __init__(self, file: BinaryIO, new: Callable[[], Any], *, padding: bool = False) -> None:
        self._file, self._new, self._padding = file, new, padding
        self._decompressor: Any = None  # set inside a stream
        self._packed = b""

    def readinto(self, buffer: Any) -> int:
        while not self._at_end():
            packed, self._packed = self._packed, b""
            if not packed and self._decompressor.needs_input:
                raise EOFError("the file ends within a stream")
            unpacked = self._decompressor.decompress(packed, len(buffer))
            if self._decompressor.eof:
                self._packed, self._decompressor = self._decompressor.unused_data, None
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        return 0

    def _at_end(self) -> bool:
        """Read more if needed; start the next stream after the end of one."""
        if self._decompressor is not None and not self._decompressor.needs_input:
            return False
        self._packed = self._packed or self._file.read(CHUNK)
        if self._decompressor is not None:
            return False
        while self._padding and self._packed.startswith(b"\0"):
            self._packed = self._packed.lstrip(b"\0") or self._file.read(CHUNK)
        if not self._packed:
            return True
        self._decompressor = self._new()
        return False


def _open_zstd(path: Path, file: BinaryIO) -> Any:
    """Open zstd with the standard library from Python 3.14 on, earlier with pyarrow, which includes zstd."""
    if zstd is not None:
        return _Streams(file, zstd.ZstdDecompressor)
    try:
        import pyarrow as pa
    except ImportError as error:
        raise DataError(f"{path}: unpacking zstd before Python 3.14 needs pyarrow; {install('parquet')}.") from error
    return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


COMPRESSIONS: dict[str, tuple[str, Opener]] = {
    ".gz": ("gzip", lambda _, file: gzip.GzipFile(fileobj=file)),
    ".bz2": ("bzip2", lambda _, file: _Streams(file, bz2.BZ2Decompressor)),
    ".xz": ("xz", lambda _, file: _Streams(file, lambda: lzma.LZMADecompressor(memlimit=MAX_XZ_MEMORY), padding=True)),
    ".zst": ("zstd", _open_zstd),
}
"""By extension: the compression's name, and the function that opens it."""

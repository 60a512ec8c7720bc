"""Read the rows of a .parquet or an .arrow file, which needs pyarrow.

An .arrow file has Arrow's streaming format, as written by `datasets`, or its file format, as written by pandas'
to_feather; its first bytes tell which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from penchant.data.arrow_claims import MAGIC, claimed_bytes
from penchant.data.arrow_rows import rows_of_batch
from penchant.data.opening import Row
from penchant.data.unpacking import MAX_GROWTH, most_bytes
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.extras import install
from penchant.wording import reason_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["columns_of_arrow", "columns_of_parquet", "rows_of_arrow", "rows_of_parquet"]

BATCH = 64
"""Rows converted at a time."""
END = b"\xff\xff\xff\xff\0\0\0\0"
"""The end marker of a stream, without which a file cut between two batches would seem complete."""

Tables = Callable[[Path, BinaryIO], "Iterator[pa.Schema | pa.RecordBatch]"]
"""The reader of a file: first its schema, then its batches."""


def rows_of_parquet(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield the rows, numbered from 1."""
    return _rows(path, limit, _parquet, "a parquet file")


def columns_of_parquet(path: Path) -> list[str]:
    """The names of its columns."""
    return _columns(path, _parquet, "a parquet file")


def rows_of_arrow(path: Path, limit: int) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield the rows, numbered from 1."""
    return _rows(path, limit, _arrow, "an arrow file")


def columns_of_arrow(path: Path) -> list[str]:
    """The names of its columns."""
    return _columns(path, _arrow, "an arrow file")


def _rows(path: Path, limit: int, tables: Tables, kind: str) -> Iterator[tuple[int, Row | BadRow]]:
    number = 0
    with path.open("rb") as stream:
        batches = tables(path, stream)
        with _named(path, kind):
            next(batches)
        while True:
            with _named(path, kind):
                if (batch := next(batches, None)) is None:
                    return
                rows = rows_of_batch(batch, limit)
            for row in rows:
                number += 1
                yield number, row


def _columns(path: Path, tables: Tables, kind: str) -> list[str]:
    with path.open("rb") as stream, _named(path, kind):
        return list(next(tables(path, stream)).names)


@contextmanager
def _named(path: Path, kind: str) -> Iterator[None]:
    """A context for reading a file that turns every error into a DataError."""
    try:
        yield
    except ImportError as error:
        raise DataError(f"{path}: reading {kind} needs pyarrow; {install('parquet')}.") from error
    except DataError:
        raise
    except Exception as error:  # a damaged file fails as ArrowException, OSError, KeyError, MemoryError, ...
        raise DataError(f"{path} is not {kind} that can be read ({reason_of(error)}); write it again.") from error


def _parquet(path: Path, stream: BinaryIO) -> Iterator[pa.Schema | pa.RecordBatch]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(stream) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        _refuse_bomb(path, sum(group.total_byte_size for group in groups))
        yield _checked(path, file.schema_arrow)
        yield from file.iter_batches(batch_size=BATCH)


def _arrow(path: Path, stream: BinaryIO) -> Iterator[pa.Schema | pa.RecordBatch]:
    import pyarrow as pa

    begin = stream.read(len(MAGIC))
    is_file = begin == MAGIC
    stream.seek(max(0, path.stat().st_size - len(END)))
    if begin[:4] == END[:4] and stream.read() != END:
        raise DataError(f"{path}: the stream of batches has no end mark, so that rows may be missing; write it again.")
    _refuse_bomb(path, claimed_bytes(stream))
    stream.seek(0)
    with pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream) as reader:
        yield _checked(path, reader.schema)
        for batch in map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader:
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH)


def _refuse_bomb(path: Path, num_bytes: int) -> None:
    if num_bytes > (most := most_bytes(path)):
        raise DataError(
            f"{path}: unpacks to more than {most:,} bytes, {MAX_GROWTH} times its size, as no real data does; if that "
            "is intended, write the file again without compression."
        )


def _checked(path: Path, schema: pa.Schema) -> pa.Schema:
    twice = [name for name, num in Counter(schema.names).items() if num > 1]
    if twice:
        raise DataError(f"{path}: the column '{twice[0]}' appears twice; keep one of them, or rename one.")
    return schema

"""Convert Arrow's batches of columns, which .parquet and .arrow files hold, to rows.

Values are those of JSON: times and dates become text in Arrow's format, because many have no counterpart in Python
(nanoseconds, the year 10000, unknown time zones). Bytes in a text that are not UTF-8 become lone surrogates, which no
record accepts: a column that is not read cannot stop a file.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from penchant.data.opening import Row, too_long
from penchant.data.verdicts import BadRow

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["rows_of_batch"]


def rows_of_batch(batch: pa.RecordBatch, limit: int) -> list[Row | BadRow]:
    """The rows of a batch, with a bad row in place of one over the byte limit."""
    columns = {name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    rows: list[Row] = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if batch.nbytes <= limit:  # so no row of it is longer
        return list(rows)
    return [too_long("row", limit) if _num_bytes(row) > limit else row for row in rows]


def _num_bytes(value: object) -> int:
    """Bytes of the texts in a value, names of fields apart."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, dict):
        return sum(map(_num_bytes, value.values()))
    return sum(map(_num_bytes, value)) if isinstance(value, list) else len(value) if isinstance(value, bytes) else 8


def _values(array: pa.Array) -> list[Any]:
    """The values of an array as in JSON; bytes, decimals and maps as pyarrow returns them."""
    import pyarrow as pa

    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _values(array.storage)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return _times(array)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(array)
    return _nested(array) if pa.types.is_nested(kind) or pa.types.is_dictionary(kind) else list(array.to_pylist())


def _nested(array: pa.Array) -> list[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind):
        values = _values(array.dictionary)
        return [None if index is None else values[index] for index in array.indices.to_pylist()]
    if pa.types.is_struct(kind):
        columns = [array.is_valid().to_pylist(), *map(_values, array.flatten())]
        names = [kind.field(i).name for i in range(kind.num_fields)]
        return [dict(zip(names, cells, strict=True)) if valid else None for valid, *cells in zip(*columns, strict=True)]
    if pa.types.is_map(kind) or pa.types.is_union(kind):
        return list(array.to_pylist())
    flat = iter(_values(array.flatten()))
    return [None if num is None else list(islice(flat, num)) for num in pc.list_value_length(array).to_pylist()]


def _times(array: pa.Array) -> list[str | None]:
    import pyarrow as pa

    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        array = array.cast(pa.timestamp(array.type.unit, "UTC"))  # an instant has no need of its zone
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    return texts


def _texts(array: pa.Array) -> list[str | None]:
    import pyarrow as pa

    try:
        texts: list[str | None] = array.to_pylist()
    except UnicodeDecodeError:
        wide = pa.types.is_large_string(array.type)
        values = array.view(pa.large_binary() if wide else pa.binary()).to_pylist()
        texts = [None if value is None else value.decode("utf-8", "surrogateescape") for value in values]
    return texts

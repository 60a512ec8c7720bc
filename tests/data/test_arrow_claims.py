"""What an .arrow file unpacks to is known from its headers, so that one that claims too much is refused unread."""

import struct
import tracemalloc

import pytest

from penchant.data import load_pairs
from penchant.data.arrow_claims import claimed_bytes
from penchant.errors import DataError

pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
ROWS = [{"prompt": f"{n}" * 50, "chosen": "x" * 40, "rejected": "y" * 40} for n in range(20)]


def write(path, table, compression, *, as_file, rows=7):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    make = pa.ipc.new_file if as_file else pa.ipc.new_stream
    with make(str(path), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path


@pytest.mark.parametrize("as_file", [True, False])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_the_claim_is_what_the_batches_take(tmp_path, compression, as_file):
    table = pa.Table.from_pylist([row | {"kind": "ab"[n % 2], "n": n} for n, row in enumerate(ROWS)])
    table = table.set_column(3, "kind", table["kind"].dictionary_encode())
    path = write(tmp_path / "a.arrow", table, compression, as_file=as_file)
    with path.open("rb") as stream:
        assert table.nbytes <= claimed_bytes(stream) <= table.nbytes * 2 + 1000  # with padding
    assert len(load_pairs(path).records) == len(ROWS)


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("as_file", [True, False])
def test_what_is_compressed_to_little_or_says_that_it_is_large_is_refused_before_it_is_unpacked(tmp_path, as_file):
    small = write(tmp_path / "a.arrow", pa.Table.from_pylist(ROWS), "zstd", as_file=as_file)
    whole = small.read_bytes()
    begin = whole.index(b"\x28\xb5\x2f\xfd") - 8  # the size before the first zstd frame
    lies = tmp_path / "lies.arrow"
    lies.write_bytes(whole[:begin] + struct.pack("<q", 1 << 40) + whole[begin + 8 :])
    zeros = pa.table({"prompt": pa.array(["q" * 120_000_000])})
    bomb = write(tmp_path / "bomb.arrow", zeros, "zstd", as_file=as_file)
    nulls = write(
        tmp_path / "nulls.arrow",
        pa.table({"prompt": pa.Array.from_buffers(pa.null(), (1 << 31) - 1, [None])}),
        None,
        as_file=as_file,
        rows=1 << 31,
    )
    del zeros
    for path in (lies, bomb, nulls):
        held = pa.total_allocated_bytes()
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=r"unpacks to more than 100,000,000 bytes, 200 times its size"):
                load_pairs(path)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()
        assert pa.total_allocated_bytes() <= held


def test_what_goes_beyond_the_end_is_damage(tmp_path):
    whole = write(tmp_path / "a.arrow", pa.Table.from_pylist(ROWS), None, as_file=False).read_bytes()
    long = tmp_path / "long.arrow"
    long.write_bytes(struct.pack("<ii", -1, 1 << 30) + whole[8:])
    with pytest.raises(DataError, match=r"is not an arrow file that can be read \(a message goes beyond the end"):
        load_pairs(long)

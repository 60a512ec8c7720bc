"""The same rows in every ending and compression are the same records; damage and bombs are one sentence in each."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from penchant.data import load_pairs, unpacking
from penchant.data.files import read_rows, scan_rows
from penchant.errors import DataError

pa = pytest.importorskip("pyarrow", reason="needs pyarrow")

ROWS = [
    {"prompt": f"p, {i}", "chosen": f'said\t"{i}"\nand é', "rejected": f"r{i}", "weight": 0.5 + i} for i in range(150)
]


def zstd(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "packed")
        with pa.output_stream(path, compression="zstd") as stream:
            stream.write(content)
        return path.read_bytes()


PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows, delimiter):
    held = io.StringIO()
    writer = csv.DictWriter(held, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return held.getvalue().encode()


CONTENT = {
    ".jsonl": lines(ROWS),
    ".ndjson": lines(ROWS),
    ".json": json.dumps(ROWS).encode(),
    ".csv": table(ROWS, ","),
    ".tsv": table(ROWS, "\t"),
}


def records(path):
    return [pair.model_dump(exclude={"origin"}) for pair in load_pairs(path).records]


EXPECTED = [
    {
        "prompt": ({"role": "user", "content": row["prompt"]},),
        "chosen": row["chosen"],
        "rejected": row["rejected"],
        "weight": row["weight"],
        "probability": 1.0,
        "margin": 0.0,
        "gap": None,
        "name": None,
    }
    for row in ROWS
]


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("ending", CONTENT)
def test_text_of_every_ending_and_compression_holds_the_same_records(tmp_path, ending, packed):
    path = tmp_path / f"a{ending}{packed}"
    path.write_bytes(PACK[packed](CONTENT[ending]))
    assert records(path) == EXPECTED


@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
def test_tables_of_arrow_hold_the_same_records_in_either_format(tmp_path, kind):
    rows = pa.Table.from_pylist(ROWS)
    path = tmp_path / ("a.parquet" if kind == "parquet" else "a.arrow")
    if kind == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(rows, path)
    else:
        new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with new(path, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=70)
    assert records(path) == EXPECTED
    assert [number for number, _ in read_rows(path)] == list(range(1, 151))


def test_streams_one_after_another_are_read_to_the_last(tmp_path):
    for packed, pack in PACK.items():
        path = tmp_path / f"a.jsonl{packed}"
        path.write_bytes(pack(lines(ROWS[:70])) + pack(lines(ROWS[70:])))
        assert [row for _, row in read_rows(path)] == ROWS
    xz = tmp_path / "a.jsonl.xz"
    xz.write_bytes(lzma.compress(lines(ROWS[:9])) + b"\0" * 8 + lzma.compress(lines(ROWS[9:])) + b"\0" * 400_000)
    assert [row for _, row in read_rows(xz)] == ROWS, "zeros after a stream of xz are padding"


@pytest.mark.parametrize(("packed", "name"), [(".gz", "gzip"), (".bz2", "bzip2"), (".xz", "xz"), (".zst", "zstd")])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: b"no such thing",
        lambda whole: whole + whole[: len(whole) // 2],
        lambda whole: whole + b"what does not belong here",
        lambda whole: whole[:40] + bytes(255 - byte for byte in whole[40:60]) + whole[60:],
    ],
)
def test_a_damaged_file_is_named_and_never_read_as_a_shorter_one(tmp_path, packed, name, spoil):
    path = tmp_path / f"a.jsonl{packed}"
    path.write_bytes(spoil(PACK[packed](lines(ROWS))))
    with pytest.raises(DataError, match=rf"a\.jsonl\{packed} is a damaged {name} file \(.+\); fetch or compress it"):
        list(scan_rows(path))


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("packed", [".bz2", ".xz", ".zst"])
def test_what_unpacks_to_more_than_data_can_is_stopped_with_little_in_memory(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 500_000)
    path = tmp_path / f"a.jsonl{packed}"
    path.write_bytes(PACK[packed](b"\n" * 12_000_000))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a\.\S+: unpacks to more than 500,000 bytes, 200 times its size"):
        list(scan_rows(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000  # of which the dictionary of xz takes 8


def test_xz_that_asks_for_much_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MAX_XZ_MEMORY", 1_000_000)
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(lines(ROWS), preset=9))
    with pytest.raises(DataError, match="Memory usage limit exceeded"):
        list(scan_rows(path))


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("packed", PACK)
def test_a_long_file_is_read_in_memory_that_does_not_grow_with_it(tmp_path, packed):
    def peak(times):
        path = tmp_path / f"{times}.jsonl{packed}"
        path.write_bytes(PACK[packed](lines(ROWS) * times))
        tracemalloc.start()
        assert sum(1 for _ in scan_rows(path)) == len(ROWS) * times
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60) < 1.2 * peak(20) + 100_000


def test_an_arrow_file_that_was_cut_is_named(tmp_path):
    rows = pa.Table.from_pylist(ROWS)
    path = tmp_path / "a.arrow"
    with pa.ipc.new_stream(path, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=50)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])  # a reader of streams takes this for whole
    with pytest.raises(DataError, match=r"a\.arrow: the stream of batches has no end mark"):
        list(scan_rows(path))
    path.write_bytes(whole[: len(whole) // 2] + whole[-8:])
    with pytest.raises(DataError, match=r"a\.arrow is not an arrow file that can be read"):
        list(scan_rows(path))
    path.write_bytes(b"neither")
    with pytest.raises(DataError, match=r"a\.arrow is not an arrow file that can be read"):
        list(scan_rows(path))


def test_without_pyarrow_arrow_and_zstd_say_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl.zst").write_bytes(zstd(lines(ROWS)))
    (tmp_path / "a.arrow").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(unpacking, "zstd", None)
    with pytest.raises(DataError, match=r"a\.jsonl\.zst: unpacking zstd before Python 3.14 needs pyarrow; run"):
        list(scan_rows(tmp_path / "a.jsonl.zst"))
    with pytest.raises(DataError, match=r"a\.arrow: reading an arrow file needs pyarrow; run pip install pyarrow"):
        list(scan_rows(tmp_path / "a.arrow"))

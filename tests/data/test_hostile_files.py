"""Files no one would write by hand: pipes, bombs, damage, values Python has no word for. One sentence each."""

import gzip
import json
import os
import random
import socket
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data import load_pairs, read_csv, read_json, unpacking
from penchant.data.authors import is_project
from penchant.data.files import read_rows, scan_rows
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def rows_of(path, **options):
    return list(scan_rows(path, **options))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json.gz", "a.parquet"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)  # a socket's name may only be short
    os.mkfifo(name)
    with pytest.raises(DataError, match=f"{name}: it is a pipe, which can be read only once; write what comes out"):
        rows_of(name)
    os.remove(name)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        with pytest.raises(DataError, match=f"{name}: it is a socket"):
            rows_of(name)
    os.remove(name)
    os.symlink("/dev/zero", name)
    with pytest.raises(DataError, match=f"{name}: it is a device"):
        rows_of(name)
    os.remove(name)
    os.symlink(name, name)
    with pytest.raises(DataError, match=f"{name}: its symbolic links lead round in a circle"):
        rows_of(name)


def test_a_name_too_long_is_said_to_be_so(tmp_path):
    with pytest.raises(DataError, match="longer than the file system allows"):
        load_pairs(tmp_path / f"{'n' * 300}.jsonl")
    with pytest.raises(OSError, match="name too long") as raised:
        is_project(tmp_path / f"{'n' * 300}.jsonl")
    assert raised.value.filename.endswith("n.jsonl"), "what was named is said, not a file that might be in it"


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("name", "begin", "body"),
    [
        ("a.jsonl.gz", b"", b"\n"),
        pytest.param("a.jsonl.gz", b"", b" ", marks=pytest.mark.slow),
        pytest.param("a.json.gz", b"[", b" ", marks=pytest.mark.slow),
        ("a.json.gz", b'["', b"a"),
        pytest.param("a.json.gz", b"[", b"1,", marks=pytest.mark.slow),
        pytest.param("a.csv.gz", b"x\n", b"\n", marks=pytest.mark.slow),
        ("a.csv.gz", b'x\n"', b"a\n"),
        ("a.txt.gz", b"", b"\n"),
        pytest.param("a.txt.gz", b"", b"a", marks=pytest.mark.slow),
    ],
)
def test_what_unpacks_to_more_than_data_can_is_stopped_with_little_in_memory(tmp_path, monkeypatch, name, begin, body):
    monkeypatch.setattr(unpacking, "ALWAYS_ALLOWED", 500_000)
    path = tmp_path / name
    path.write_bytes(gzip.compress(begin + body * (2_000_000 // len(body))))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a\.\S+: unpacks to more than 500,000 bytes, 200 times its size"):
        for _ in scan_rows(path):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_data_that_repeats_itself_a_lot_is_no_bomb(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "the same again and again"}\n' * 100_000))
    assert sum(1 for _ in scan_rows(path)) == 100_000


def holds_objects(value):
    """Whether a value is a list of objects, which some data sets write as one row."""
    return isinstance(value, list) and value != [] and all(isinstance(item, dict) for item in value)


@pytest.mark.slow(threads=1)
@given(st.lists(JSON, min_size=1, max_size=5), st.integers(1, 30), st.booleans())
@settings(max_examples=200)
def test_an_array_is_read_in_pieces_as_the_whole_would_be(tmp_path_factory, values, chunk, indented):
    path = tmp_path_factory.getbasetemp() / "array.json"
    path.write_text(json.dumps(values, indent=1 if indented else None, ensure_ascii=indented), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_json, "CHUNK", chunk)
        got = [row for _, row in scan_rows(path)]
    assert [row for row in got if not isinstance(row, BadRow)] == [
        v if isinstance(v, dict) else {"[]": v} for v in values if isinstance(v, dict) or holds_objects(v)
    ]
    assert len(got) == len(values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"x": 1}\n{"x": 2}]', r"a\.json:2: not JSON \(Expecting ',' delimiter at column 1\)"),
        ('[{"x": 1}]\n{}', r"a\.json:2: not JSON \(Extra data at column 1\)"),
        ('[{"x": 1},\n {"x": "2]', r"a\.json:2: not JSON \(Unterminated string starting at at column 8\)"),
        ('[{"x": 1}, {"x": nul}]', r"a\.json:1: not JSON \(Expecting value at column 18\)"),
        ("[\n" + "[" * 100_000, r"a\.json:2: not JSON that can be read \("),
        ("[{}, \n" + "1" * 5000 + "]", r"a\.json:2: not JSON that can be read \(a number has more than 4,300 digits\)"),
        (
            '[{"x": "' + "y" * 3000 + '"},\n\n {"x": "' + "y" * 3000 + "}]",
            r"a\.json:3: not JSON \(Unterminated .* column 8\)",
        ),
        ('[{"x":\t1}, {"x": "caf\udce9"}]', r"a\.json:1: not UTF-8 \(byte 0xe9\)"),
    ],
)
def test_broken_json_is_named_with_line_and_column_wherever_a_piece_ends(tmp_path, monkeypatch, text, words):
    (tmp_path / "a.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    for chunk in (1, 7, 1 << 16):
        monkeypatch.setattr(read_json, "CHUNK", chunk)
        with pytest.raises(DataError, match=words):
            rows_of(tmp_path / "a.json")


def test_an_element_over_the_limit_is_a_bad_row_and_reading_goes_on(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"x": 1}, {"x": "é" * 60}, {"x": 3}], ensure_ascii=False))
    (_, first), (_, second), (_, third) = scan_rows(tmp_path / "a.json", max_line_bytes=100)
    assert (first, third) == ({"x": 1}, {"x": 3})
    assert isinstance(second, BadRow)
    assert second.code == "too_long_line"


def test_a_record_or_an_element_without_an_end_is_not_held_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(read_json, "MAX_ELEMENT", 200_000)
    monkeypatch.setattr(read_csv, "MAX_RECORD", 200_000)
    (tmp_path / "a.json").write_text('[\n{"x": "' + "y" * 1_000_000 + '"}]')
    (tmp_path / "a.csv").write_text('x,y\n1,"' + "y\n" * 500_000 + '"\n')
    with pytest.raises(DataError, match=r"a\.json:2: a value of more than 200,000 characters begins here"):
        rows_of(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"a\.csv:2: the record that begins here has more than 200,000 characters"):
        rows_of(tmp_path / "a.csv")


def test_a_name_that_stands_twice_is_refused_whatever_the_file(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"x": {"y": 1, "y": 2}}\n{"x": 1}\n')
    (tmp_path / "a.json").write_text('[{"x": 1, "x": 2}, {"x": 1}]')
    (tmp_path / "a.csv").write_text("x,y,x\n1,2,3\n")
    for name, key in (("a.jsonl", "y"), ("a.json", "x")):
        (_, bad), (_, good) = scan_rows(tmp_path / name)
        assert isinstance(bad, BadRow)
        assert bad.reason == f"the key '{key}' appears twice in one object"
        assert good == {"x": 1}
    with pytest.raises(DataError, match=r"a\.csv:1: the column 'x' appears twice"):
        rows_of(tmp_path / "a.csv")


def test_halves_of_surrogate_pairs_in_rows_that_are_rejected_anyway_are_only_quoted(tmp_path):
    rows = [
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"prompt": [{"role": "\ud800", "content": "x"}], "chosen": "c"},
    ]
    (tmp_path / "caf\udce9.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded = load_pairs(tmp_path / "caf\udce9.jsonl", on_bad_row="drop")
    (problem,) = loaded.problems
    str(problem).encode()
    assert "caf\\udce9.jsonl:2" in str(problem)


class TestParquet:
    @pytest.fixture
    def pa(self):
        pytest.importorskip("pyarrow", reason="needs pyarrow")
        import pyarrow.parquet

        return pyarrow

    @pytest.fixture
    def write(self, pa, tmp_path):
        def write(table, **options):
            table = pa.table(table) if isinstance(table, dict) else table
            pa.parquet.write_table(table, tmp_path / "a.parquet", **options)
            return tmp_path / "a.parquet"

        return write

    def test_times_are_text_also_those_python_has_no_word_for(self, pa, write):
        path = write(
            {
                "ns": pa.array([1, None], pa.timestamp("ns")),
                "far": pa.array([253402300800 * 10**6, 0], pa.timestamp("us")),
                "zone": pa.array([0, None], pa.timestamp("us", "Mars/Phobos")),
                "day": pa.array([10**8, 0], pa.date32()),
            }
        )
        (_, first), (_, second) = read_rows(path)
        assert first["ns"] == "1970-01-01 00:00:00.000000001"
        assert first["far"] == "10000-01-01 00:00:00.000000"
        assert first["zone"] == "1970-01-01 00:00:00.000000Z"
        assert "out of range" in first["day"]
        assert second == {
            "ns": None,
            "far": "1970-01-01 00:00:00.000000",
            "zone": None,
            "day": "1970-01-01",
        }

    def test_bytes_that_are_no_utf8_matter_only_where_they_are_read(self, pa, write, tmp_path):
        spoilt = pa.array([b"caf\xe9", b"fine"]).view(pa.string())
        good = {"prompt": ["p", "q"], "chosen": ["c", "d"], "rejected": ["r", "s"]}
        ids = pa.StructArray.from_arrays([spoilt], ["id"])
        loaded = load_pairs(
            write({**good, "id": spoilt, "inner": ids, "list": pa.ListArray.from_arrays([0, 1, 2], spoilt)})
        )
        assert len(loaded.records) == 2
        loaded = load_pairs(write({**good, "chosen": spoilt}), on_bad_row="drop")
        assert loaded.verdict_counts == {"not_utf8": 1, "keep": 1}

    @pytest.mark.slow(threads=1)
    @given(st.data())
    @settings(max_examples=25)
    def test_values_that_python_has_are_read_as_pyarrow_reads_them(self, tmp_path_factory, data):
        pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
        import pyarrow.parquet

        message = st.fixed_dictionaries({"role": st.text(max_size=5) | st.none(), "n": st.integers(-9, 9) | st.none()})
        cell = st.fixed_dictionaries(
            {
                "text": st.text(max_size=5) | st.none(),
                "messages": st.lists(message | st.none(), max_size=3) | st.none(),
                "number": st.floats(allow_nan=False) | st.none(),
            }
        )
        kind = pa.struct({"role": pa.string(), "n": pa.int64()})
        schema = pa.schema({"text": pa.string(), "messages": pa.list_(kind), "number": pa.float64()})
        table = pa.Table.from_pylist(data.draw(st.lists(cell, min_size=1, max_size=200)), schema)
        path = tmp_path_factory.getbasetemp() / "rows.parquet"
        pyarrow.parquet.write_table(table, path)
        assert [row for _, row in read_rows(path)] == table.to_pylist()

    def test_a_row_over_the_limit_is_a_bad_row_and_reading_goes_on(self, write):
        rows = [{"x": [{"y": "a"}]}, {"x": [{"y": "a" * 150}]}, {"x": None}]
        (_, first), (_, second), (_, third) = scan_rows(write({"x": [r["x"] for r in rows]}), max_line_bytes=100)
        assert (first, third) == (rows[0], rows[2])
        assert isinstance(second, BadRow)
        assert second.code == "too_long_line"

    def test_a_column_that_is_there_twice_is_refused(self, pa, write):
        table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])
        with pytest.raises(DataError, match="the column 'x' appears twice"):
            rows_of(write(table))

    def test_what_unpacks_to_more_than_data_can_is_refused(self, write, monkeypatch):
        monkeypatch.setattr("penchant.data.unpacking.ALWAYS_ALLOWED", 1_000_000)
        path = write({"x": ["a" * 100_000 + str(i) for i in range(100)]}, compression="zstd", use_dictionary=False)
        with pytest.raises(DataError, match="unpacks to more than"):
            rows_of(path)

    def test_damage_anywhere_is_a_sentence_or_other_values(self, write):
        path = write({"x": ["text number " + str(i) for i in range(300)], "y": [[{"a": i}] for i in range(300)]})
        whole, chance = path.read_bytes(), random.Random(0)
        for _ in range(150):
            spoilt = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
            path.write_bytes(spoilt[: chance.choice([len(spoilt), chance.randrange(len(spoilt))])])
            try:
                rows, refusal = rows_of(path), str(path)
            except DataError as error:
                rows, refusal = [], str(error)
            assert refusal.startswith(str(path))
            assert all(isinstance(row, dict | BadRow) for _, row in rows)

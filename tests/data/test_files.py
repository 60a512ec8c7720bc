"""Every file form yields the same rows with their numbers, and every damaged file a sentence that names the place."""

import gzip
import json
import sys

import pytest

from penchant.data.files import MAX_LINE_BYTES, read_rows, scan_rows
from penchant.data.verdicts import BadRow
from penchant.errors import DataError

ROWS = [
    {"prompt": "p, 1", "chosen": 'said "x"\nand y', "rejected": "z"},
    {"prompt": "é", "chosen": "c", "rejected": "r"},
]
CSV = 'prompt,chosen,rejected\n"p, 1","said ""x""\nand y",z\n\né,c,r\n'


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("gz", ["", ".gz"])
def test_jsonl_json_and_csv_hold_the_same_rows(tmp_path, gz):
    assert list(read_rows(write(tmp_path / f"a.jsonl{gz}", jsonl(ROWS)))) == [(1, ROWS[0]), (2, ROWS[1])]
    assert list(read_rows(write(tmp_path / f"a.json{gz}", json.dumps(ROWS)))) == [(1, ROWS[0]), (2, ROWS[1])]
    assert list(read_rows(write(tmp_path / f"a.csv{gz}", CSV))) == [(2, ROWS[0]), (5, ROWS[1])]


def test_parquet_holds_the_same_rows(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet")) == [(1, ROWS[0]), (2, ROWS[1])]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"a\.parquet.*pip install pyarrow"):
        list(read_rows(write(tmp_path / "a.parquet", "x")))


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    with pytest.raises(DataError, match=r"a\.parquet is not a parquet file"):
        list(read_rows(write(tmp_path / "a.parquet", "not parquet at all")))


def test_a_json_file_of_json_lines_is_read_as_lines(tmp_path):
    assert [line for line, _ in read_rows(write(tmp_path / "a.json", jsonl(ROWS)))] == [1, 2]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path, name):
    content = {"a.jsonl": '{"text": "x"}', "a.json": '[{"text": "x"}]', "a.csv": "text\nx\n", "a.txt": "x"}[name]
    assert [row for _, row in read_rows(write(tmp_path / name, b"\xef\xbb\xbf" + content.encode()))] == [{"text": "x"}]


def test_blank_lines_are_skipped_but_counted(tmp_path):
    assert list(read_rows(write(tmp_path / "a.jsonl", '\n{"x": 1}\n\n{"x": 2}\n'))) == [(2, {"x": 1}), (4, {"x": 2})]


def test_txt_documents_end_at_the_separator_where_there_is_one(tmp_path):
    path = write(tmp_path / "a.txt", "one\n\nstill one\n<|endoftext|>\n\ntwo\r\nlines\n<|endoftext|>\n")
    assert list(read_rows(path)) == [(1, {"text": "one\n\nstill one"}), (6, {"text": "two\nlines"})]


def test_txt_documents_end_at_blank_lines_without_a_separator(tmp_path):
    path = write(tmp_path / "a.txt", "one\nmore\n\n\ntwo\n")
    assert list(read_rows(path)) == [(1, {"text": "one\nmore"}), (5, {"text": "two"})]


def test_txt_lines_are_rows_when_asked_for(tmp_path):
    path = write(tmp_path / "a.txt", "one\n\ntwo\n")
    assert list(read_rows(path, txt="lines")) == [(1, {"text": "one"}), (3, {"text": "two"})]


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    write(tmp_path / "pairs.jsonl", "{}")
    with pytest.raises(DataError, match=r"pair\.jsonl: there is no such file; did you mean .*pairs\.jsonl\?"):
        list(read_rows(tmp_path / "pair.jsonl"))
    with pytest.raises(DataError, match="check the path"):
        list(read_rows(tmp_path / "nowhere" / "pair.jsonl"))


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        list(read_rows(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.parquet.gz", "a.arrow.zst", "a.jsonl.lz4"])
def test_an_unknown_format_lists_what_is_supported(tmp_path, name):
    with pytest.raises(DataError, match=r"unknown format .*\.jsonl, .*\.tsv, \.txt, \.parquet, \.arrow .*\.zst"):
        list(read_rows(write(tmp_path / name, "x")))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt", "a.jsonl.gz"])
@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_says_so(tmp_path, name, content):
    content = "x,y\n" if name == "a.csv" and content else content
    with pytest.raises(DataError, match=r"a\.\S+ is empty"):
        list(read_rows(write(tmp_path / name, content)))


def test_a_json_array_without_elements_is_empty(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        list(read_rows(write(tmp_path / "a.json", "[]")))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.json"])
def test_bytes_that_are_not_utf8_are_named_with_their_line(tmp_path, name):
    content = b'{"text": "fine"}\n{"text": "caf\xe9"}\n'
    with pytest.raises(DataError, match=rf"{name}:2: .*not UTF-8 \(byte 0xe9\)"):
        list(read_rows(write(tmp_path / name, content)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"x": }', "Expecting value at column 7"),
        ("1" * 5000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "must be a JSON object, got list"),
    ],
)
def test_a_line_that_is_not_a_json_object_is_named(tmp_path, line, reason):
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{reason}"):
        list(read_rows(write(tmp_path / "a.jsonl", '{"x": 1}\n' + line + "\n")))


def test_broken_json_names_the_line_of_the_mistake(tmp_path):
    with pytest.raises(DataError, match=r"a\.json:3: not JSON \(.* at column 1\)"):
        list(read_rows(write(tmp_path / "a.json", '[\n{"x": 1},\n]')))


def test_an_open_quote_in_csv_names_where_the_record_begins(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv:3: not CSV"):
        list(read_rows(write(tmp_path / "a.csv", 'x,y\n1,2\n3,"4\n5,6\n')))


def test_a_csv_record_with_too_many_cells_is_a_bad_row(tmp_path):
    rows = list(scan_rows(write(tmp_path / "a.csv", "x,y\n1,2,3\n4,5\n")))
    assert isinstance(rows[0][1], BadRow)
    assert rows[0][1].code == "bad_type"
    assert rows[1] == (3, {"x": "4", "y": "5"})


@pytest.mark.parametrize("spoil", [lambda b: b[:-12], lambda b: b[:20] + b"\xff" * 8 + b[28:], lambda b: b"no gzip"])
def test_a_damaged_gzip_file_is_named(tmp_path, spoil):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(spoil(gzip.compress(jsonl(ROWS * 100).encode())))
    with pytest.raises(DataError, match=r"a\.jsonl\.gz is a damaged gzip file"):
        list(read_rows(path))


def test_a_line_over_the_limit_is_a_bad_row_and_reading_goes_on(tmp_path):
    long = json.dumps({"x": "y" * (2 * MAX_LINE_BYTES)})
    rows = list(scan_rows(write(tmp_path / "a.jsonl", f'{{"x": 1}}\n{long}\n{{"x": 3}}\n{long}')))
    assert [line for line, _ in rows] == [1, 2, 3, 4]
    assert rows[2][1] == {"x": 3}
    assert all(isinstance(row, BadRow) and row.code == "too_long_line" for _, row in rows[1::2])
    assert "1,000,000 bytes" in rows[1][1].reason


@pytest.mark.parametrize(("limit", "kept"), [(14, True), (13, False)])
def test_a_line_of_exactly_the_limit_is_kept(tmp_path, limit, kept):
    ((_, row),) = scan_rows(write(tmp_path / "a.jsonl", '{"text": "x"}\n'), max_line_bytes=limit)
    assert isinstance(row, dict) == kept


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_long_csv_records_and_txt_lines_are_bad_rows_too(tmp_path, name):
    content = {"a.csv": "text\n" + "y" * 200 + "\nok\n", "a.txt": "y" * 200 + "\n\nok\n"}[name]
    (_, first), (_, second) = scan_rows(write(tmp_path / name, content), max_line_bytes=100)
    assert isinstance(first, BadRow)
    assert first.code == "too_long_line"
    assert second == {"text": "ok"}

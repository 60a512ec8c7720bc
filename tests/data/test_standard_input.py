"""Rows from a pipe: kept once, read as often as need be, known by what they begin with."""

import gzip
import hashlib
import io
import json
import sys
from types import SimpleNamespace

import pytest

from penchant.data import guess_kind, load_pairs, load_prompts, standard_input
from penchant.data.given import files_of, sources_of
from penchant.errors import DataError
from penchant.training.origins import files_read

ROWS = [{"prompt": f"p{n}", "chosen": "good", "rejected": "bad"} for n in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = b"prompt,chosen,rejected\np0,good,bad\np1,good,bad\np2,good,bad\n"


class Pipe(io.RawIOBase):
    """What can be read once, and not looked at before."""

    def __init__(self, content):
        self.held = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.held.readinto(memoryview(buffer)[:7])


@pytest.fixture
def pipe(monkeypatch):
    def fill(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(Pipe(content))))

    return fill


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("-", LINES),
        ("-", b"\xef\xbb\xbf\n" + LINES),
        ("-", json.dumps(ROWS).encode()),
        ("-", gzip.compress(LINES, mtime=0)),
        ("-.csv", TABLE),
        ("-.tsv.gz", gzip.compress(TABLE.replace(b",", b"\t"), mtime=0)),
    ],
)
def test_rows_are_the_same_however_they_come(pipe, name, content):
    pipe(content)
    assert guess_kind(name) == "pairs"
    loaded = load_pairs(name)
    assert [one.prompt[0].content for one in loaded.records] == ["p0", "p1", "p2"]
    assert load_pairs(name).records == loaded.records, "what is piped in can be read again"
    assert str(loaded.records[0].origin).startswith("<stdin>:")


def test_parquet_is_known_by_its_first_bytes(pipe):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
    import pyarrow.parquet

    held = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), held)
    pipe(held.getvalue())
    assert len(load_pairs("-").records) == 3


def test_where_prompts_are_read_plain_text_is_lines(pipe):
    pipe(b"one\ntwo\n")
    assert [one.messages[0].content for one in load_prompts("-").records] == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "-: standard input is empty"),
        (TABLE, "does not begin as JSON, parquet or arrow do; say what it is: -.csv, -.tsv or -.txt."),
        (b'{"x": \n', r"<stdin>:1: the line is not JSON"),
        (gzip.compress(LINES, mtime=0)[:-9], "<stdin> is a damaged gzip file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_without_the_place_where_it_is_kept(pipe, content, words):
    pipe(content)
    with pytest.raises(DataError) as caught:
        load_pairs("-")
    assert words in str(caught.value)
    assert "penchant-" not in str(caught.value)


def test_a_terminal_is_not_waited_for_and_much_is_not_kept(pipe, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(isatty=lambda: True)))
    with pytest.raises(DataError, match="nothing is piped into standard input"):
        load_pairs("-")
    pipe(LINES)
    monkeypatch.setattr(standard_input, "MOST", 20)
    with pytest.raises(DataError, match="standard input is longer than 20 bytes"):
        load_pairs("-")


def test_a_ledger_names_standard_input_and_no_temporary_file(pipe):
    pipe(LINES)
    (file,) = files_read(files_of(sources_of("-")))
    assert file == {"path": "<stdin>", "sha256": hashlib.sha256(LINES).hexdigest()}


def test_one_of_several_processes_reads_none_of_it(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(DataError, match="read by one process, and several were started"):
        load_pairs("-")

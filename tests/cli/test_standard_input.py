"""What is piped in is named `-.csv` or `-.tsv` where its bytes do not say what it is, and is no option then."""

import io
import sys
from types import SimpleNamespace

import pytest

PAIRS = "prompt,chosen,rejected\nWhat is the sun?,A star.,A lamp.\n"
VOTES = "left,right,winner\ntea,coffee,left\ntea,coffee,right\n"


@pytest.fixture
def pipe(monkeypatch):
    def piped(text):
        stream = io.BytesIO(text.encode())
        stream.isatty = lambda: False
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))

    return piped


@pytest.mark.parametrize("ending", ["-.csv", "-.tsv"])
def test_commands_take_it_where_they_take_a_file(penchant, pipe, tmp_path, ending):
    pairs, votes = (text.replace(",", "\t") if ending == "-.tsv" else text for text in (PAIRS, VOTES))
    pipe(votes)
    ranked = penchant("rank", ending)
    assert (ranked.code, "2 votes" in ranked.out) == (0, True), ranked
    pipe(pairs)
    converted = penchant("convert", ending, "--to", "trl", "--output", tmp_path / "trl.jsonl")
    assert (converted.code, (tmp_path / "trl.jsonl").read_text(encoding="utf-8").count("\n")) == (0, 1)
    pipe(pairs)
    imported = penchant("votes", "import", tmp_path / "votes", ending)
    assert (imported.code, (tmp_path / "votes" / "project.yaml").exists()) == (0, True), imported


def test_a_word_that_no_file_has_stays_an_unknown_option(penchant):
    assert "No such option" in penchant("rank", "-x.csv").err

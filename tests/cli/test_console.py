"""What a command shows: nothing of a foreign text may steer the terminal, and lines are few where there is no bar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.cli import console
from penchant.cli.console import Reporter, sanitise
from penchant.cli.tables import print_table

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"


@pytest.mark.parametrize("c", ["\x1b", "\x07", "\x08", "\r", "\x00", "\x7f", "\x9b", "\u2028", "\ufeff", *BIDI])
def test_what_could_steer_the_terminal_is_replaced(c):
    assert sanitise(f"a{c}b") == "a\ufffdb"


@pytest.mark.parametrize(
    "text", ["plain", "two\nlines\tand a tab", "中文　全角", "naïve café", "नमस्ते", "می‌خواهم", "👩‍🔬 🇫🇷 ❤️", "1\u00a0000"]
)
def test_text_of_every_script_stays_as_it_is(text):
    assert sanitise(text) == text


@given(st.text())
def test_sanitising_keeps_the_length_and_does_nothing_twice(text):
    once = sanitise(text)
    assert len(once) == len(text)
    assert sanitise(once) == once


def test_what_is_said_goes_to_standard_error_as_it_is_not_as_markup(capsys):
    with Reporter() as reporter:
        reporter.say("[bold]file[/bold] \x1b[31m is [not] markup " + "long " * 40)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("[bold]file[/bold] \ufffd[31m is [not] markup")
    assert captured.err.count("\n") == 1


def test_without_a_terminal_progress_is_a_line_at_the_end_and_now_and_then(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with Reporter() as reporter:
        for done in range(1, 41):
            now[0] += 1.0
            reporter.progress("training", done, 40, {"loss": 0.5, "unheard_of": 1.0})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[-1] == "training 40/40  loss 0.5000"
    assert "s left" in lines[1]


def test_nothing_to_do_is_not_progress(capsys):
    Reporter().progress("reference", 0, 0, {})
    assert capsys.readouterr().err == ""


def test_a_table_without_a_terminal_is_aligned_text_with_numbers_to_the_right(capsys):
    from rich.console import Console

    print_table(Console(width=20), ("name", "tokens"), [("[a]\nb", "1,234"), ("a much longer name\x1b", "+5.0")])
    assert capsys.readouterr().out.splitlines() == [
        "name                 tokens",
        "[a] b                 1,234",
        "a much longer name\ufffd    +5.0",
    ]
    print_table(Console(), ("nothing",), [])
    assert capsys.readouterr().out == "nothing\n"


def test_no_time_is_foretold_before_one_was_measured_and_what_was_there_before_does_not_count(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    reporter = Reporter()
    for done in (30, 40):
        reporter.progress("training", done, 60, {})
        now[0] += 20.0
    assert capsys.readouterr().err.splitlines() == ["training 30/60", "training 40/60    about 40 s left"]

"""What a command shows: nothing of a foreign text may steer the terminal, and lines are few where there is no bar."""

import io
import re
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penchant import progress
from penchant.cli.console import Reporter
from penchant.cli.main import main
from penchant.cli.tables import print_table
from penchant.wording import sanitise

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"


@pytest.mark.parametrize("c", ["\x1b", "\x07", "\x08", "\r", "\x00", "\x7f", "\x9b", "\u2028", "\ufeff", *BIDI])
def test_what_could_steer_the_terminal_is_replaced(c):
    assert sanitise(f"a{c}b") == "a\ufffdb"


@pytest.mark.parametrize(
    "text", ["plain", "two\nlines\tand a tab", "中文　全角", "naïve café", "नमस्ते", "می‌خواهم", "👩‍🔬 🇫🇷 ❤️", "1\u00a0000"]
)
def test_text_of_every_script_stays_as_it_is(text):
    assert sanitise(text) == text


@pytest.mark.slow(threads=1)
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


def test_what_is_said_of_a_foreign_text_is_bounded_and_keeps_its_end(capsys):
    with Reporter() as reporter:
        reporter.say("reading the tokenizer of " + "m\n" * 50_000 + "end")
    said = capsys.readouterr().err
    assert said.endswith("end\n")
    assert len(said) < 2_200


@pytest.mark.parametrize(("seconds", "num_lines"), [(60.0, 21), (1.0, 21), (0.01, 3)])
def test_without_a_terminal_progress_is_a_line_for_each_twentieth_however_long_it_takes(
    capsys, monkeypatch, seconds, num_lines
):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Reporter() as reporter:
        for done in range(401):
            now[0] += seconds
            reporter.progress("training", done, 400, {"loss": 0.5, "unheard_of": 1.0})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == num_lines
    assert lines[0] == "training 0/400  loss 0.5000", "a word before the first step is done"
    assert lines[-1] == "training 400/400  loss 0.5000"
    assert "s left" in lines[1]


def test_what_begins_again_is_shown_again(capsys):
    with Reporter() as reporter:
        for total in (2, 3):
            for done in range(total + 1):
                reporter.progress("training", done, total, {})
    ends = [line for line in capsys.readouterr().err.splitlines() if line in ("training 2/2", "training 3/3")]
    assert ends == ["training 2/2", "training 3/3"]


class Terminal(io.StringIO):
    """What standard output and standard error both write to; `screen` is what somebody would see there."""

    def isatty(self):
        return True

    def screen(self):
        lines, row, column = [""], 0, 0
        for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if piece == "\r":
                column = 0
            elif piece == "\n":
                row, column = row + 1, 0
            elif piece.startswith("\x1b["):
                if piece.endswith("A"):
                    row -= int(piece[2:-1] or 1)
                elif piece.endswith("K"):
                    lines[row] = ""
            else:
                lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
                column += len(piece)
            lines += [""] * (row + 1 - len(lines))
        return "\n".join(lines)


@pytest.fixture
def terminal(monkeypatch):
    shown = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return shown


def test_a_narrow_terminal_cuts_the_numbers_and_keeps_the_step_and_the_time_left(terminal):
    facts = {"loss": 0.6931, "rewards/margins": 0.1234, "rewards/accuracies": 0.5, "tokens_per_second": 12345.0}
    with redirect_stdout(terminal), redirect_stderr(terminal), Reporter() as reporter:
        reporter.progress("policy at temperature 1", 123, 1000, facts)
    (line,) = [line for line in terminal.screen().splitlines() if "temperature" in line]
    assert "123/1000" in line
    assert re.search(r"\d+:\d\d:\d\d|-:--:--", line)
    assert "loss" in line
    assert len(line.rstrip()) <= 80


@pytest.mark.slow(threads=1)
def test_on_a_terminal_every_result_of_eval_is_there_at_the_end(terminal, make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("PENCHANT_CACHE", str(tmp_path))
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Once upon a time\nThere was a dog\n")
    run = make_run(lora=True)
    monkeypatch.setattr(sys, "argv", ["penchant", "eval", str(run), "--prompts", str(prompts), "--max-new-tokens", "4"])
    with redirect_stdout(terminal), redirect_stderr(terminal), pytest.raises(SystemExit):
        main()
    torch.set_flush_denormal(False)
    screen = terminal.screen()
    for name in ("judge  ", "mean score  ", "win rate  ", "KL  ", "report  "):
        assert sum(line.startswith(name) for line in screen.splitlines()) == 1, screen
    assert "report.html" in screen


def test_nothing_to_do_is_not_progress(capsys):
    Reporter().progress("reference", 0, 0, {})
    assert capsys.readouterr().err == ""


def test_a_table_without_a_terminal_is_aligned_text_with_numbers_to_the_right(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(("name", "tokens"), [("[a]\nb", "1,234"), ("a much longer name\x1b", "+5.0")])
    assert capsys.readouterr().out.splitlines() == [
        "name                 tokens",
        "[a] b                 1,234",
        "a much longer name\ufffd    +5.0",
    ]
    print_table(("nothing",), [])
    assert capsys.readouterr().out == "nothing\n"


def test_no_time_is_foretold_before_one_was_measured_and_what_was_there_before_does_not_count(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    reporter = Reporter()
    for done in (30, 40):
        reporter.progress("training", done, 60, {})
        now[0] += 20.0
    assert capsys.readouterr().err.splitlines() == ["training 30/60", "training 40/60    about 40 s left"]

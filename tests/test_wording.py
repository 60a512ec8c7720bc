"""Foreign text in a message can be encoded, is one line and bounded, and keeps what says why."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.records import Origin
from penchant.data.verdicts import BadRow
from penchant.errors import DataError
from penchant.training.run_folder import append_rows, read_rows_written
from penchant.wording import MAX_MESSAGE, MAX_REASON, bytes_in_words, encodable, in_short, reason_of, shown

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=50)


@given(ANY_TEXT, st.integers(1, 10_000))
def test_whatever_a_message_quotes_it_is_one_bounded_line_that_can_be_encoded(text, times):
    row = BadRow("bad_type", f"got {text * times}", "write another").at(Origin(file=text, line=3))
    for said in (str(DataError(f"a.jsonl: {text * times}; write another")), str(row)):
        said.encode()
        assert len(said.splitlines()) == 1
        assert len(said) < 11 * MAX_MESSAGE  # an unprintable character is spelt with as many as ten
        assert said.endswith("write another")


def test_what_is_too_long_loses_its_middle_and_says_how_much():
    text = in_short("a" * 100 + "b" * 1000 + "c" * 100, 120)
    assert text.startswith("a" * 80)
    assert text.endswith(" c" + "c" * 39)
    assert "[... 1,080 characters ...]" in text
    assert in_short("a" * 120, 120) == "a" * 120


def test_half_a_surrogate_pair_is_spelt_as_json_spells_it():
    assert encodable("caf\udce9 \ud800") == "caf\\udce9 \\ud800"
    assert json.loads(f'"{encodable("x" + chr(0xD800))}"') == "x\ud800"


def test_a_row_of_metrics_or_samples_holds_half_a_surrogate_pair_and_is_read_back_as_it_was(tmp_path):
    append_rows(tmp_path / "samples.jsonl", [{"step": 1, "response": "caf\udce9"}])
    (row,) = read_rows_written(tmp_path / "samples.jsonl")
    assert row == {"step": 1, "response": "caf\udce9"}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Error(s) in loading:\n\tsize mismatch for head: 514 against 512."), "in loading: size mismatch"),
        (KeyError("penchant"), "KeyError: 'penchant'"),
        (EOFError(), "EOFError"),
        (ValueError("far too long: " + "x" * 200_000 + " and the end"), "and the end"),
    ],
)
def test_the_reason_of_a_foreign_error_is_whole_and_on_one_line(error, reason):
    said = reason_of(error)
    assert reason in said
    assert "\n" not in said
    assert len(said) < 2 * MAX_REASON


def test_the_limit_on_digits_is_said_in_words():
    with pytest.raises(ValueError, match="limit") as caught:
        json.loads("1" * 5000)
    assert reason_of(caught.value) == "a number has more than 4,300 digits"


HARD_TO_SHOW = {
    "digits": 10**5000,
    "below": -(10**400),
    "long": "x" * 10**6,
    "deep": [[[[[[1]]]]]] * 100,
    "half a pair": {"a": "\ud800\n"},
}


@pytest.mark.parametrize("value", HARD_TO_SHOW.values(), ids=HARD_TO_SHOW)
def test_a_value_is_shown_in_short(value):
    said = shown(value)
    assert len(said) < 500
    assert "\n" not in said
    said.encode()


@pytest.mark.parametrize(
    ("num", "said"),
    [(0, "0.0 kB"), (640, "0.6 kB"), (3_000_000, "3.0 MB"), (1_250_000_000, "1.2 GB"), (8e13, "80,000.0 GB")],
)
def test_bytes_are_said_in_a_unit_that_shows_them(num, said):
    assert bytes_in_words(num) == said


def test_small_values_are_shown_as_they_are():
    assert [shown(value) for value in (1, 0.5, "a'b", None, [1, 2])] == ["1", "0.5", '"a\'b"', "None", "[1, 2]"]

"""metrics.jsonl and samples.jsonl are read again as they were written, and what is damaged is said."""

import json

import pytest

from penchant.training.records import append_rows, keep_rows, read_rows_written

STEPS = [{"step": step, "grad_norm": 1.0} for step in (1, 2, 3)]
EVALUATED = {"step": 2, "eval_loss": 0.5}


def test_what_was_measured_after_the_last_step_stays_only_if_all_of_it_was(tmp_path):
    for evaluated, expected in ((True, [STEPS[0], STEPS[1], EVALUATED]), (False, STEPS[:2])):
        path = tmp_path / f"{evaluated}" / "metrics.jsonl"
        path.parent.mkdir()
        append_rows(path, [*STEPS[:2], EVALUATED, STEPS[2]])
        keep_rows(path, 2, evaluated=evaluated)
        assert read_rows_written(path) == expected


def test_what_is_no_row_is_named_by_its_line_and_a_torn_end_is_not(tmp_path):
    path = tmp_path / "metrics.jsonl"
    bad = [b"{", b"[]", b"3", b'{"step": "one"}', b'{"step": true}', b"\xff\x00", b"[" * 100_000]
    path.write_bytes(b"\n".join([b'{"step": 1}', *bad, b"", b'{"step": 2}', b'{"step": 3, "te']))
    said = []
    assert read_rows_written(path, said.append) == [{"step": 1}, {"step": 2}]
    assert said == [
        f"{path}:2, 3, 4, 5, 6 and 2 more: cannot be read as a row of a run (line 2: Expecting property name enclosed "
        "in double quotes: line 1 column 2 (char 1)); left out, and the other 2 rows are kept"
    ]


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        ("metrics.jsonl", {"step": 2, "loss": "low"}, "'loss' is 'low', where a number belongs"),
        ("metrics.jsonl", {"step": 2, "loss": [1]}, "'loss' is [1], where a number belongs"),
        ("metrics.jsonl", {"step": 2, "loss": 1e300}, "'loss' is 1e+300, which must be at most 1e+100"),
        ("metrics.jsonl", {"step": -2}, "'step' is -2, which must be at least 0"),
        ("metrics.jsonl", {"step": None}, "'step' is None, where a whole number belongs"),
        ("samples.jsonl", {"step": 2, "response": None}, "'response' is None, where text belongs"),
        ("samples.jsonl", {"step": 2, "response": "", "num_tokens": 0}, "one of 'num_tokens' and 'ended' is missing"),
    ],
)
def test_a_row_with_an_odd_value_is_left_out_and_what_is_odd_is_said(tmp_path, name, row, why):
    path, said, good = tmp_path / name, [], {"step": 1, "response": "a"} if name == "samples.jsonl" else {"step": 1}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(row)}\n")
    assert read_rows_written(path, said.append) == [good]
    assert said == [
        f"{path}:2: cannot be read as a row of a run (line 2: {why}); left out, and the other 1 rows are kept"
    ]
    keep_rows(path, 2, said.append)
    assert read_rows_written(path) == [good]
    assert why in said[1]


def test_whatever_a_run_records_is_read_again(tmp_path):
    rows = [{"step": 1, "loss": value, "skipped": True} for value in (1e99, 1e101, float("inf"), float("nan"))]
    append_rows(tmp_path / "metrics.jsonl", rows)
    assert [row["loss"] for row in read_rows_written(tmp_path / "metrics.jsonl")] == [1e99, None, None, None]
    samples = [
        {"step": 0, "response": "a\udce9"},
        {"step": 0, "prompt": "", "response": "", "num_tokens": 0, "ended": True},
    ]
    append_rows(tmp_path / "samples.jsonl", samples)
    assert read_rows_written(tmp_path / "samples.jsonl") == samples


def test_steps_that_are_lost_from_the_record_are_named(tmp_path):
    path, said = tmp_path / "metrics.jsonl", []
    append_rows(path, [STEPS[0], STEPS[2]])
    keep_rows(path, 4, said.append)
    assert said == [f"{path}: holds no row of step 2, 4; training continues, but its record stays incomplete"]
    path.unlink()
    keep_rows(path, 1, said.append)
    assert "holds no row of step 1;" in said[1]
    keep_rows(path, 0, said.append)
    assert len(said) == 2

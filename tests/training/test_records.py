"""metrics.jsonl and samples.jsonl are read again as they were written, and what is damaged is said."""

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
    path = tmp_path / "samples.jsonl"
    bad = [b"{", b"[]", b"3", b'{"step": "one"}', b'{"step": true}', b"\xff\x00", b"[" * 100_000]
    path.write_bytes(b"\n".join([b'{"step": 1}', *bad, b"", b'{"step": 2}', b'{"step": 3, "te']))
    said = []
    assert read_rows_written(path, said.append) == [{"step": 1}, {"step": 2}]
    assert said == [
        f"{path}:2, 3, 4, 5, 6 and 2 more: not readable as a row of a run; left out, the other 2 rows are kept"
    ]


def test_steps_that_are_lost_from_the_record_are_named(tmp_path):
    path, said = tmp_path / "metrics.jsonl", []
    append_rows(path, [STEPS[0], STEPS[2]])
    keep_rows(path, 4, said.append)
    assert said == [f"{path}: holds nothing of step 2, 4; training goes on as it was, its record stays incomplete"]
    path.unlink()
    keep_rows(path, 1, said.append)
    assert "holds nothing of step 1;" in said[1]
    keep_rows(path, 0, said.append)
    assert len(said) == 2

"""A row of which some pairs become tokens and others do not is trained on, and what fails of it is counted."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from penchant.data import Origin, Verdict
from penchant.errors import DataError
from penchant.tokens import ChatEncoder, Limits
from penchant.training.checking import check_tokens
from penchant.training.config import DataConfig
from penchant.training.dataset import labelled_dataset, pair_dataset
from penchant.training.failures import FailuresSoFar


class Heard:
    def __init__(self):
        self.said, self.steps = [], []

    def say(self, line):
        self.said.append(line)

    def progress(self, what, done, total, facts):
        self.steps.append((what, done, total))


@pytest.fixture(scope="module")
def model(stories260k):
    encoder = ChatEncoder(AutoTokenizer.from_pretrained(str(stories260k)), template="plain")
    return SimpleNamespace(encoder=encoder, context_length=128)


@pytest.fixture
def lists(tmp_path):
    """Three lists of three answers: of the second one answer spells a special token, of the third two."""
    path = tmp_path / "lists.jsonl"
    with path.open("w") as file:
        for n, texts in enumerate((("a", "b", "c"), ("a", "b", "<s>"), ("a", "<s> x", "<s>"))):
            answers = [{"response": f" {text}", "overall_score": i} for i, text in enumerate(texts)]
            file.write(json.dumps({"instruction": f"Once {n}", "completions": answers}) + "\n")
    return path


def test_pairs_that_fail_are_counted_as_pairs_where_their_row_has_others(model, lists, tmp_path):
    config = DataConfig(held_out=0.0, max_bad_share=0.5)
    for folder in (None, tmp_path / "tokens", tmp_path / "tokens"):  # in memory, written, and found again
        heard = Heard()
        found = pair_dataset(config, lists, model, 0, heard, folder)
        assert found.facts["rows"] == {"keep": 2, "special_token": 1}
        assert found.facts["left_out_of_rows"] == {"special_token": 2}
        assert found.facts["sources"][0]["rows"] == found.facts["rows"]
        assert len(found.train) == 3 + 1
        assert "left out 2 pairs or responses of rows that keep others: 2 special_token" in heard.said
        assert "left out 1 of 3 rows are bad: 1 special_token" in heard.said
        assert [one.split(":")[0] for one in found.facts["problems"]] == ["special_token"] * 3
    report = check_tokens([lists], model.encoder, Limits(128, 127, 128), reporter=Heard())
    assert (report.rows, report.num_bad, len(report.left_out)) == ({"keep": 2, "special_token": 1}, 1, 2)
    assert report.as_dict()["left_out_of_rows"][0]["where"] == f"{lists}:2"
    assert any("left out 2 pairs or responses" in line for line in report.remarks_on_rows)


def test_one_response_of_a_labelled_pair_may_be_left(model, tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{n}", "chosen": " good", "rejected": " <s>" if n == 1 else " bad"} for n in range(4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = labelled_dataset(DataConfig(held_out=0.0), path, model, 0, Heard())
    assert found.facts["rows"] == {"keep": 4}
    assert found.facts["left_out_of_rows"] == {"special_token": 1}
    assert len(found.train) == 7


def test_progress_is_told_once_a_record_and_ends_at_their_number(model, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{n}", "chosen": " a", "rejected": " b"}) + "\n" for n in range(5)))
    training, checking = Heard(), Heard()
    labelled_dataset(DataConfig(held_out=0.4), path, model, 0, training)
    check_tokens([path], model.encoder, Limits(128, 127, 128), reporter=checking)
    assert training.steps == [("tokens", n, 10) for n in range(1, 11)]
    assert checking.steps == [*(("tokens", n, None) for n in range(1, 6)), ("tokens", 5, 5)]
    pair_dataset(DataConfig(), path, model, 0, training := Heard())
    assert training.steps == checking.steps


def test_where_a_bad_row_ends_the_run_a_bad_pair_does(model, tmp_path, lists):
    lines = lists.read_text().splitlines()[:2]
    lists.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r'lists\.jsonl:2: .*`on_bad_row="drop"` leaves it out and keeps the rest'):
        pair_dataset(DataConfig(held_out=0.0, on_bad_row="error"), lists, model, 0, Heard())


@pytest.mark.slow(threads=1)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=12), st.booleans())
def test_rows_and_parts_are_told_apart_in_any_order_of_what_fails_in_a_row(rows, at_once):
    so_far, origins = FailuresSoFar(), [Origin(file="f", line=i + 1) for i in range(len(rows))]
    told = [(origins[i], good) for i, row in enumerate(rows) for good in row]
    if at_once:
        failed = (Verdict("special_token", origin, "why", "fix") for origin, good in told if not good)
        so_far.add(failed, (origin for origin, good in told if good))
    else:
        for origin, good in told:
            if good:
                so_far.kept(origin)
            else:
                so_far.failed(Verdict("special_token", origin, "why", "fix"))
    found = so_far.found()
    assert [one.origin for one in found.rows] == [origins[i] for i, row in enumerate(rows) if not any(row)]
    expected = [origins[i] for i, row in enumerate(rows) if any(row) for good in row if not good]
    assert [one.origin for one in found.parts] == expected
    assert so_far.in_part() == set(expected)
    counts = found.counted({"keep": len(rows)} if rows else {}, ())
    assert sum(counts.values()) == len(rows)
    assert counts.get("special_token", 0) == len(found.rows)

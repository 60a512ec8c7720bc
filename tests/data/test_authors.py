"""Who answered comparisons, and who wrote them."""

import json

from penchant.data.authors import authors_of, authors_of_file, votes_behind, votes_file


def row(annotator, outcome="a", model=None):
    source = {"source": {"model": model}} if model else {}
    return {"id": "t", "a": {"text": "x", **source}, "b": {"text": "y"}, "outcome": outcome, "annotator": annotator}


def test_judges_and_models_are_named_and_people_are_counted():
    rows = [
        row("Ann"),
        row("Ann"),
        row("Bea"),
        row(None),
        row("stand-in:positivity", model="small@01"),
        row("Ann", None),
    ]
    assert authors_of(rows) == {
        "answered_by": {"2 people": 3, "stand-in:positivity": 1, "people without a name": 1},
        "written_by": {"no model": 9, "small@01": 1},
    }


def test_a_file_of_something_else_has_no_authors(tmp_path):
    pairs, answers = tmp_path / "pairs.jsonl", tmp_path / "answers.jsonl"
    pairs.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    answers.write_text("not json\n" + json.dumps(row("Ann")) + "\n")
    assert authors_of_file(pairs) == {}
    assert authors_of_file(answers)["answered_by"] == {"1 person": 1}
    assert authors_of_file(tmp_path / "none.jsonl") == {}


def test_what_stands_behind_a_snapshot_is_read_beside_it_and_only_there(tmp_path):
    snapshot = tmp_path / "pairs-0.jsonl"
    assert votes_behind(snapshot) is None
    facts = {"project": "p", "answers": 4, "answered": 3, "pairs": 3, "labels": "majority", "skipped": 1}
    votes_file(snapshot).write_text(json.dumps(facts))
    assert votes_behind(snapshot) == facts
    for damaged in ("{", json.dumps(facts | {"pairs": "3"}), "[" * 100_000):
        votes_file(snapshot).write_text(damaged)
        assert votes_behind(snapshot) is None

"""What a row says of its answer in meta.answer: taken where an export wrote it, else refused by file and line."""

import json

import pytest

from penchant.feedback.imports import import_file
from penchant.feedback.summary import summary

GOOD = {"key": "key-number-1", "kind": "main", "chosen_by": "random", "probability": 1, "seconds": 2.5, "flags": []}
GOOD |= {"reasons": ["clear"], "comment": "so", "gold": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"gold": "Paris"}, "meta.answer.gold is 'Paris': input should be 'a', 'b', 'tie' or 'both_bad'"),
        (GOOD | {"probability": 0}, "meta.answer.probability is 0: input should be greater than 0"),
        (GOOD | {"probability": 2.0}, "meta.answer.probability is 2.0"),
        (GOOD | {"flags": None}, "meta.answer.flags is None: input should be a valid list"),
        (GOOD | {"reasons": "x"}, "meta.answer.reasons is 'x': input should be a valid list"),
        (GOOD | {"flags": [3]}, "meta.answer.flags.0 is 3"),
        (GOOD | {"seconds": -1}, "meta.answer.seconds is -1"),
        (GOOD | {"seconds": "2"}, "meta.answer.seconds is '2'"),
        (GOOD | {"kind": "maybe"}, "meta.answer.kind is 'maybe'"),
        (GOOD | {"key": "short"}, "meta.answer.key is 'short'"),
        (GOOD | {"comment": "nul \x00"}, "meta.answer.comment"),
        (GOOD | {"explanation": "a star"}, "meta.answer.explanation is 'a star'"),
        ("42", "meta.answer is '42', but Penchant keeps details of an answer in this field"),
        (["a"], "meta.answer is ['a']"),
        (0, "meta.answer is 0"),
    ],
)
def test_a_row_whose_details_are_not_the_stores_is_refused_by_its_line_and_the_others_are_taken(
    make_store, make_comparison, tmp_path, answer, words
):
    rows = [make_comparison(f"t{i}", outcome="a", annotator="Ann").model_dump(mode="json") for i in range(3)]
    rows[1]["meta"] = {"answer": answer}
    rows[2]["meta"] = {"answer": GOOD, "topic": "stars"}
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for options in ({}, {"gold": True}, {"unanswered": True}):
        store = make_store()
        added = import_file(store, path, **options)
        assert added.added == 2
        assert len(added.refused) == 1
        assert added.refused[0].startswith(f"{path}:2: {words}")
        assert "give" in added.refused[0]  # what to do
        assert "another name" in added.refused[0]
        assert summary(store)["counts"]["tasks"] + summary(store)["counts"]["gold"] == 2


def test_a_comparison_that_is_added_by_a_program_is_refused_by_its_id(make_any_store, make_comparison):
    store = make_any_store()
    added = store.add_tasks([make_comparison("t0", outcome="a", meta={"answer": {"gold": "Paris"}})], origin="tests")
    assert added.added == 0
    assert added.refused[0].startswith("t0: meta.answer.gold is 'Paris'")


def test_details_of_an_export_are_taken_as_they_are_and_what_is_left_out_stays_out(make_any_store, make_comparison):
    store = make_any_store()
    given = [
        make_comparison("t0", outcome="a", annotator="Ann", meta={"answer": GOOD}),
        make_comparison("t1", outcome="b", annotator="Ann", meta={"answer": {"kind": "repeat"}}),
        make_comparison("t2", outcome="b", annotator="Ann", meta={"answer": None}),
    ]
    assert store.add_tasks(given, origin="tests").refused == ()
    first, second, third = (c.meta["answer"] for c in store.comparisons())
    assert first == {name: value for name, value in GOOD.items() if name != "gold"}
    assert (second["kind"], second["chosen_by"], second["seconds"], second["flags"]) == ("repeat", "import", None, [])
    assert (third["kind"], third["comment"]) == ("main", "")

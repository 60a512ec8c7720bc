"""Rows in memory are read as the rows of a file are: same formats, same verdicts, same records."""

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from penchant.data import (
    Candidate,
    Comparison,
    Demonstration,
    Document,
    Labelled,
    Message,
    PreferencePair,
    Prompt,
    as_source,
    guess_kind,
    load_demonstrations,
    load_labelled,
    load_pairs,
    load_prompts,
    load_votes,
)
from penchant.errors import DataError

USER, BOT = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "R"}
PAIR = {"prompt": "Q", "chosen": "good", "rejected": "bad"}
LABELLED = {"prompt": "Q", "completion": "R", "label": False}
DEMONSTRATION = {"messages": [USER, BOT]}
VOTE = {"model_a": "x", "model_b": "y", "winner": "tie"}
ASKED = (Message(role="system", content="S"), Message(role="user", content="Q"))
CALL = Message(
    role="assistant",
    content="",
    reasoning="so",
    tool_calls=[{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
)
ROWS = {
    load_pairs: [PAIR, PAIR | {"prompt": [USER], "weight": 2}],
    load_labelled: [LABELLED, LABELLED | {"completion": [BOT | {"reasoning_content": "so"}]}],
    load_demonstrations: [DEMONSTRATION, {"text": "once"}],
    load_prompts: [{"prompt": "Q"}, {"messages": [USER | {"content": "P"}], "id": 7}],
    load_votes: [VOTE, VOTE | {"winner": "model_b"}],
}
EVERY_LOADER = pytest.mark.parametrize("load", ROWS, ids=lambda load: load.__name__)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def bare(records):
    return [one.model_copy(update={"origin": None}) if hasattr(one, "origin") else one for one in records]


def found(loaded):
    reasons = [(problem.code, problem.origin.line, problem.fix) for problem in loaded.problems]
    return bare(loaded.records), loaded.verdict_counts, reasons, loaded.format, [one.name for one in loaded.unread]


@EVERY_LOADER
def test_rows_in_memory_are_loaded_as_those_of_a_file(load, tmp_path):
    rows = [*ROWS[load], {"strange": 1}, ROWS[load][0] | {"mine": "x"}]
    file, memory = load(write(tmp_path / "rows.jsonl", rows), on_bad_row="drop"), load(rows, on_bad_row="drop")
    assert found(memory) == found(file)
    assert memory.verdict_counts["missing_field"] == 1
    assert [one.name for one in memory.unread] == ["mine"]


@pytest.mark.slow(threads=1)
@settings(max_examples=100, deadline=None)
@drawn(st.data())
def test_whatever_stands_in_a_row_counts_the_same_in_memory_and_in_a_file(tmp_path_factory, data):
    load = data.draw(st.sampled_from(list(ROWS)))
    names = st.sampled_from(["prompt", "chosen", "messages", "label", "weight", "winner", "mine", "tools", "text"])
    values = st.sampled_from([None, "", "Q", True, 0, [USER], [], {}, '[{"role": "user", "content": "P"}]'])
    rows = [*ROWS[load], data.draw(st.sampled_from(ROWS[load])) | data.draw(st.dictionaries(names, values, max_size=3))]
    path = write(tmp_path_factory.mktemp("rows") / "rows.jsonl", rows)
    outcomes = []
    for given in (rows, path):
        try:
            outcomes.append(found(load(given, on_bad_row="drop")))
        except DataError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]


def test_a_bad_row_is_named_as_python_names_it():
    with pytest.raises(DataError) as caught:
        load_pairs([PAIR, PAIR | {"chosen": "bad"}])
    assert str(caught.value) == (
        "data[1]: chosen and rejected are the same text; remove the row "
        '(1 bad row in 2 read; `on_bad_row="drop"` skips them).'
    )
    assert str(load_pairs(as_source(iter([PAIR]), "mine")).records[0].origin) == "mine[0]"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "no data was given"),
        (iter([]), "data is empty: it holds no rows"),
        ([PAIR, "pairs.jsonl"], r"data\[1\]: a row must be a dict, got str; write {\.\.\.} for each row"),
        ({"train": [PAIR], "test": [PAIR]}, "data is a mapping with the keys train, test and not rows"),
        (7, "data is of type int; give paths, or a list of rows"),
        (b"x", "data is of type bytes; give paths"),
        ([{"question": "Q"}], r"data: no known format has its columns \(question\)"),
        ([{"prompt": "Q", "chosen": "R", "rejectd": "S"}], "data: there is no column 'rejected', only 'rejectd'"),
        ([PAIR | {"chosen": ""}], "data: no row can be used .1 empty_response.; see data.0.: the chosen response"),
    ],
)
def test_what_holds_no_rows_is_refused_with_what_it_is(data, words):
    with pytest.raises(DataError, match=words):
        load_pairs(data, on_bad_row="error" if words.startswith(r"data\[1") else "drop")


def test_kinds_are_guessed_and_pairs_taken_apart_in_memory_too():
    kinds = {"pairs": PAIR, "labelled": LABELLED, "demonstrations": DEMONSTRATION}
    assert {kind: guess_kind([row]) for kind, row in kinds.items()} == {kind: kind for kind in kinds}
    labelled = load_labelled(iter([PAIR, PAIR | {"prompt": "P"}]), limit=1)
    assert [(one.response, one.desirable) for one in labelled.records] == [("good", True), ("bad", False)]


def test_a_source_is_read_as_often_as_one_likes_and_beside_files(tmp_path):
    source = as_source(row for row in [PAIR])
    assert guess_kind(source) == "pairs"
    assert as_source(source) is source
    path = write(tmp_path / "more.jsonl", [PAIR | {"prompt": "P"}])
    loaded = load_pairs([source, path])
    assert [str(pair.origin) for pair in loaded.records] == ["data[0]", f"{path}:1"]
    assert loaded.digest != load_pairs([path, source]).digest


@pytest.mark.parametrize(
    ("load", "record"),
    [
        (load_pairs, PreferencePair(prompt=ASKED, chosen="good", rejected=CALL, weight=0.5, margin=1.0)),
        (load_pairs, PreferencePair(prompt=ASKED, chosen="\n\nHuman: x", rejected="b", probability=0.75)),
        (load_labelled, Labelled(prompt=ASKED, response=CALL, desirable=False, weight=2.0)),
        (load_labelled, Labelled(prompt=ASKED, response="R", desirable=True)),
        (load_demonstrations, Demonstration(messages=(*ASKED, CALL.model_copy(update={"weight": 0.5})))),
        (load_demonstrations, Document(text=" [once] ")),
        (load_prompts, Prompt(messages=ASKED, id="7")),
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_records_are_loaded_as_they_are(load, record):
    assert bare(load([record]).records) == [record]


def test_answered_comparisons_are_pairs_and_votes():
    sides = {"a": Candidate(text="A"), "b": Candidate(text="B", source={"model": "m"})}
    answers = [Comparison(id=str(i), prompt=ASKED, outcome=one, **sides) for i, one in enumerate(["a", "tie", None])]
    loaded = load_pairs(answers)
    assert [(pair.prompt, pair.chosen, pair.rejected) for pair in loaded.records] == [(ASKED, "A", "B")]
    assert loaded.verdict_counts == {"keep": 1, "tie": 1, "unanswered": 1}
    assert [(vote.left, vote.outcome) for vote in load_votes(answers).records] == [("human", "left"), ("human", "tie")]


def test_values_become_what_json_holds():
    class Word(str):
        def __str__(self):
            return "not this"

    row = {
        "prompt": np.array([USER], dtype=object),
        "chosen": Word("good"),
        "rejected": np.str_("bad"),
        "weight": np.float32(0.5),
        "margin": float("nan"),
        "created_at": datetime(2024, 5, 1),
        "tags": (np.int64(1), np.array([[1, 2]]), np.bool_(True)),
        3: None,
    }
    (plain,) = as_source([row]).rows
    assert json.loads(json.dumps(plain)) == {
        "prompt": [USER],
        "chosen": "good",
        "rejected": "bad",
        "weight": 0.5,
        "margin": None,
        "created_at": "2024-05-01T00:00:00",
        "tags": [1, [[1, 2]], True],
        "3": None,
    }
    (pair,) = load_pairs([row | {"prompt": ASKED}]).records
    assert (pair.prompt, pair.chosen, pair.weight) == (ASKED, "good", 0.5)


def test_the_digest_is_that_of_what_the_rows_say():
    turned = dict(reversed(PAIR.items()))
    assert as_source([PAIR]).digest == as_source([turned | {"prompt": np.str_("Q")}]).digest
    assert as_source([PAIR]).digest == load_pairs([PAIR]).digest
    assert as_source([PAIR]).digest != as_source([PAIR | {"chosen": "better"}]).digest
    assert as_source([PAIR, "x"]).digest != as_source([PAIR]).digest
    image = dataclass(type("Image", (), {}))
    assert as_source([PAIR | {"picture": image(), "raw": b"\xff"}]).digest == (
        as_source([PAIR | {"picture": image(), "raw": b"\xff"}]).digest
    ), "what JSON cannot hold does not change from one time to the next"


def test_a_data_frame_is_read_by_its_rows():
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = pandas.DataFrame(
        {
            "prompt": ["Q", "P", "O"],
            "chosen": ["good", "same", "fine"],
            "rejected": ["bad", "same", "poor"],
            "weight": [2.0, None, float("nan")],
            "when": pandas.to_datetime(["2024-05-01", None, "2024-05-02"]),
            "count": pandas.array([1, None, 3], dtype="Int64"),
        },
        index=[7, 8, 9],
    )
    loaded = load_pairs(frame, on_bad_row="drop")
    assert [(pair.chosen, pair.weight) for pair in loaded.records] == [("good", 2.0), ("fine", 1.0)]
    (problem,) = loaded.problems
    assert str(problem).startswith("data.iloc[1]: chosen and rejected are the same")
    assert [(one.name, one.num_rows) for one in loaded.unread] == [("when", 2), ("count", 2)]
    twice = pandas.concat([frame, frame[["chosen"]]], axis=1)
    with pytest.raises(DataError, match="data: the column 'chosen' appears twice"):
        load_pairs(twice)


def test_a_dataset_and_a_table_are_read_by_their_rows():
    datasets = pytest.importorskip("datasets", reason="needs datasets")
    rows = [PAIR | {"prompt": [USER]}, PAIR | {"prompt": [USER], "chosen": None}]
    dataset = datasets.Dataset.from_list(rows)
    for data in (dataset, dataset.to_iterable_dataset(), dataset.data.table):
        loaded = load_pairs(data, on_bad_row="drop")
        assert bare(loaded.records) == bare(load_pairs(rows, on_bad_row="drop").records)
        assert str(loaded.problems[0]).startswith("data[1]: the field 'chosen' is missing")
    with pytest.raises(DataError, match="data is a mapping with the keys train and not rows; give one of its parts"):
        load_pairs(datasets.DatasetDict(train=dataset))

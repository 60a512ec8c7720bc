"""The summary: of nothing, of a small case by hand, and of real votes."""

import gzip
import json

import pytest

from penchant.data.records import Candidate, Source
from penchant.feedback.imports import import_file
from penchant.feedback.summary import agreement, length_bias, source_label, source_table, summary


@pytest.mark.slow(threads=1)
def test_a_project_without_answers_has_a_summary_that_says_so(make_store):
    found = summary(make_store(2))
    assert found["counts"]["tasks"] == 2
    assert found["agreement"]["value"] is None
    assert found["agreement"]["reading"] == "not known: no unit has two answers"
    assert found["sources"]["rows"] == []
    assert found["sources"]["reason"] == "no answer compares two sources"
    assert found["reliability"] == []
    json.dumps(found)


def test_agreement_is_read_in_plain_words(make_comparison):
    def on(task_id, *outcomes):
        return [make_comparison(task_id, outcome=said, annotator=f"P{i}") for i, said in enumerate(outcomes)]

    same = agreement([*on("t0", "a", "a"), *on("t1", "b", "b"), *on("t2", "tie", "tie")])
    assert (same["value"], same["raw"]) == (1.0, 1.0)
    assert same["reading"] == "people agree so well that one can stand for the others"
    opposite = agreement([*on("t0", "a", "b"), *on("t1", "b", "a")])
    assert opposite["reading"].startswith("people contradict each other more than chance would")
    one = agreement([*on("t0", "a", "a")])
    assert one["value"] is None
    assert "told from chance" in one["reading"]


def test_one_person_does_not_agree_with_herself_and_nobody_with_nobody(make_comparison):
    """Copies of a row are one answer, and answers without names may be one person's."""
    ann = [make_comparison(task, outcome=said, annotator="Ann") for task, said in (("t0", "a"), ("t1", "b")) * 2]
    found = agreement(ann)
    assert (found["value"], found["num_tasks"]) == (None, 0)
    assert found["reading"] == "not known: no unit has two answers"
    bob = [make_comparison(task, outcome="a", annotator="Bob") for task in ("t0", "t1")]
    nobody = [make_comparison(f"t{i % 2}", outcome="b", annotator=None if i < 2 else "(unknown)") for i in range(4)]
    two = agreement([*ann, *bob, *nobody])
    assert two == agreement([*ann[:2], *bob]) | {"num_unnamed": 4}
    assert (two["raw"], two["num_tasks"], two["num_answers"]) == (0.5, 2, 4)


def test_the_latest_of_a_persons_answers_is_theirs(make_comparison):
    said = [("t0", "Ann", "a"), ("t0", "Bob", "b"), ("t1", "Ann", "a"), ("t1", "Bob", "a"), ("t0", "Bob", "a")]
    assert agreement([make_comparison(task, outcome=o, annotator=name) for task, name, o in said])["raw"] == 1


def test_where_nobody_is_named_it_says_that_this_is_why(make_comparison):
    answers = [make_comparison("t0", outcome=outcome) for outcome in ("a", "b", "a")]
    assert agreement(answers)["reading"] == (
        "not known: no unit has two answers by people with names; 3 answers name nobody, and may be of one person or "
        "of many"
    )


def test_length_bias_counts_the_longer_of_unequal_texts(make_comparison):
    short, long = Candidate(text="x"), Candidate(text="xxx")
    answers = [
        make_comparison(a=long, b=short, outcome="a"),
        make_comparison(a=short, b=long, outcome="b"),
        make_comparison(a=long, b=short, outcome="b"),
        make_comparison(a=long, b=short, outcome="tie"),
        make_comparison(a=short, b=Candidate(text="y"), outcome="a"),
    ]
    assert (length_bias(answers).hits, length_bias(answers).num) == (2, 3)


def test_sources_are_ranked_and_a_source_against_itself_is_counted_apart(make_comparison):
    answers = [make_comparison(f"t{i}", outcome="b" if i % 4 else "a") for i in range(40)]
    itself = Candidate(text="z", source=Source(model="small"))
    table = source_table([*answers, make_comparison("s", a=itself, outcome="a")])
    first, second = table["rows"]
    assert (first["source"], second["source"]) == ("small", "big (temperature 0.7)")
    assert (first["wins"], first["losses"], first["ties"]) == (30, 10, 0)
    assert first["low"] < first["elo"] < first["high"]
    assert first["low"] > second["high"]
    assert table["same_source"] == 1


def test_both_bad_says_nothing_about_the_order_of_sources_and_is_counted_apart(make_comparison):
    answers = [make_comparison(f"t{i}", outcome="b" if i % 4 else "a") for i in range(40)]
    bad = [make_comparison(f"x{i}", outcome="both_bad") for i in range(30)]
    table = source_table([*answers, *bad])
    assert table["rows"] == source_table(answers)["rows"]
    assert table["both_bad"] == 30


def test_two_temperatures_of_a_model_are_two_sources():
    warm, plain = (Candidate(text="x", source=Source(model="m", temperature=t)) for t in (1.0, None))
    assert [source_label(c) for c in (warm, plain, Candidate(text="x"))] == ["m (temperature 1)", "m", "human"]


@pytest.fixture(scope="session")
def pandalm(shared):
    """250 pairs of five models, judged by the same three annotators each."""
    with gzip.open(shared / "data" / "pandalm" / "testset-v1.json.gz", "rt", encoding="utf-8") as stream:
        return json.load(stream)[::4]  # a quarter is enough, and quick


@pytest.mark.slow(threads=1)
def test_real_annotators_agree_as_their_publishers_say_and_the_models_rank(make_store, make_comparison, pandalm):
    outcome = {0: "tie", 1: "a", 2: "b"}
    comparisons = []
    for row in pandalm:
        first, second = row["cmp_key"].split("_")
        sides = {
            side: Candidate(text=str(row[f"response{number}"]), source=Source(model=model))
            for side, number, model in (("a", 1, first), ("b", 2, second))
        }
        prompt = ({"role": "user", "content": f"{row['instruction']}\n\n{row['input']}".strip()},)
        for person in (1, 2, 3):
            said = outcome[row[f"annotator{person}"]]
            name = f"annotator{person}"
            comparisons.append(make_comparison(f"p{row['idx']}", prompt=prompt, **sides, outcome=said, annotator=name))
    store = make_store(0, overlap=3)
    added = store.add_tasks(comparisons, origin="pandalm")
    # pairs that are equal, or where a model said nothing, cannot be asked; each is refused by its reason
    assert added.added + len({reason.split(":")[0] for reason in added.refused}) == len(pandalm)
    assert added.answers == 3 * added.added
    found = summary(store)
    assert 0.84 < found["agreement"]["value"] < 0.90  # the published kappas are 0.85, 0.88 and 0.86
    assert "so well that one can stand for the others" in found["agreement"]["reading"]
    assert found["agreement"]["num_tasks"] == added.added
    models = [row["source"] for row in found["sources"]["rows"]]
    assert len(models) == 5
    assert models[0] == "llama-7b"
    assert models[-1] in ("cerebras-gpt-6.7B", "pythia-6.9b", "opt-7b")
    assert found["pairs"]["pairs"] + found["pairs"]["tie"] + found["pairs"]["tied"] == added.added
    assert all(0.8 < one["with_majority"]["value"] < 1 for one in found["reliability"])


@pytest.mark.slow(threads=1)
def test_real_battles_of_a_crowd_are_imported_whole_and_summed_up(make_store, shared):
    file = shared / "data" / "llmfao" / "arena_shape_from_llmfao.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    store = make_store()
    added = import_file(store, file)
    assert added.answers + len(added.refused) == len(rows) == 1195
    found = summary(store)
    assert found["counts"]["by_outcome"]["tie"] == found["counts"]["answered"] - sum(
        found["counts"]["by_outcome"][side] for side in "ab"
    )
    names = {row[side] for row in rows for side in ("model_a", "model_b")}
    assert {row["source"] for row in found["sources"]["rows"]} <= names
    elo = {row["source"]: row["elo"] for row in found["sources"]["rows"]}
    assert elo["GPT 4"] > elo["LLaMA-2-Chat (7B)"]
    assert {one["annotator"] for one in found["reliability"]} <= {row["judge"] for row in rows}
    assert all(str(file) in reason and "empty" in reason for reason in added.refused)  # some models said nothing
    assert found["position_bias"]["num"] == found["counts"]["by_outcome"]["a"] + found["counts"]["by_outcome"]["b"]

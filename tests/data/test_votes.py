"""Votes: every format is read as it says, every row that is no vote is named by file and line."""

import csv
import json

import pytest

from penchant.data import Vote, keeps_order, load_votes, vote_columns
from penchant.data.files import scan_rows
from penchant.data.importers.vote_fields import MAX_COUNT
from penchant.data.importers.vote_formats import VOTE_IMPORTERS
from penchant.errors import ConfigError, DataError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return path


def comparison(outcome="a", **more):
    return {
        "id": "1",
        "prompt": [{"role": "user", "content": "What is the sun?"}],
        "a": {"text": "A star.", "source": {"model": "before"}},
        "b": {"text": "A lamp.", "source": {"model": "after"}},
        "outcome": outcome,
        **more,
    }


def plain(votes):
    return [(vote.left, vote.right, vote.outcome) for vote in votes]


@pytest.mark.parametrize("importer", VOTE_IMPORTERS, ids=lambda importer: importer.name)
def test_the_example_of_every_format_is_read_by_that_format(importer, tmp_path):
    loaded = load_votes(write(tmp_path / "votes.jsonl", [importer.example]))
    assert loaded.format == importer.name
    assert loaded.verdict_counts == {"keep": 1}
    assert keeps_order(loaded.format) == (not importer.name.startswith("counts"))
    assert {vote.left for vote in loaded.records} | {vote.right for vote in loaded.records} <= {
        *("before", "after", "tea", "coffee", "Rome", "Oslo", "1", "2", "Nature", "Science")
    }


def test_names_of_formats_are_different():
    assert len({importer.name for importer in VOTE_IMPORTERS}) == len(VOTE_IMPORTERS)


def test_comparisons_name_the_source_and_how_it_was_sampled_but_not_the_seed(tmp_path):
    rows = [comparison("b", annotator="Ann", shown_first="b"), comparison("both_bad"), comparison(None)]
    rows[1]["a"]["source"] = {"model": "before", "temperature": 0.7, "top_p": 0.9, "top_k": 40, "seed": 3}
    rows[1]["b"]["source"] = {"model": "before", "temperature": 0.0, "top_p": 1.0, "top_k": 0}
    rows.append(comparison("tie") | {"b": {"text": "A lamp."}})
    loaded = load_votes(write(tmp_path / "votes.jsonl", rows))
    assert plain(loaded.records) == [
        ("before", "after", "right"),
        ("before t=0.7 top_p=0.9 top_k=40", "before t=0", "both_bad"),
        ("before", "human", "tie"),
    ]
    assert (loaded.records[0].annotator, loaded.records[0].shown_first) == ("Ann", "right")
    assert loaded.verdict_counts == {"keep": 3, "unanswered": 1}


def test_the_same_two_responses_are_one_unit_in_either_order_and_other_texts_are_another(tmp_path):
    turned = comparison() | {"a": comparison()["b"], "b": comparison()["a"]}
    other = comparison()
    other["a"] = {**other["a"], "text": "A star, the nearest one."}
    elsewhere = comparison() | {"prompt": [{"role": "user", "content": "What is the moon?"}]}
    units = [
        vote.unit for vote in load_votes(write(tmp_path / "v.jsonl", [comparison(), turned, other, elsewhere])).records
    ]
    assert units[0] == units[1]
    assert len(set(units)) == 3
    prompts = [vote.prompt for vote in load_votes(tmp_path / "v.jsonl").records]
    assert prompts[0] == prompts[1] == prompts[2] != prompts[3]


def test_battles_are_read_with_their_words_for_outcomes(tmp_path):
    words = ["model_a", "model_b", "tie", "tie (bothbad)", " Left", "draw", "both_bad", "", None]
    rows = [{"model_a": "x", "model_b": " y ", "winner": word, "judge": "Ann"} for word in words]
    loaded = load_votes(write(tmp_path / "battles.jsonl", rows))
    outcomes = [vote.outcome for vote in loaded.records]
    assert outcomes == ["left", "right", "tie", "both_bad", "left", "tie", "both_bad"]
    assert {(vote.left, vote.right, vote.annotator) for vote in loaded.records} == {("x", "y", "Ann")}
    assert loaded.verdict_counts["unanswered"] == 2
    assert all(vote.unit is vote.prompt is None for vote in loaded.records)


def test_a_conversation_gives_a_battle_its_prompt_and_its_unit(tmp_path):
    def talk(answer):
        return [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]

    row = {"model_a": "x", "model_b": "y", "winner": "tie", "conversation_a": talk("1"), "conversation_b": talk("2")}
    turned = {"model_a": "y", "model_b": "x", "winner": "tie", "conversation_a": talk("2"), "conversation_b": talk("1")}
    again = {**row, "conversation_a": talk("3")}
    votes = load_votes(write(tmp_path / "battles.jsonl", [row, turned, again])).records
    assert votes[0].unit == votes[1].unit != votes[2].unit
    assert len({vote.prompt for vote in votes}) == 1


def test_a_table_of_winners_is_read_from_csv_with_prompt_annotator_and_side(tmp_path):
    rows = [
        {"left": "x", "right": "y", "winner": "right", "prompt": "8", "worker": "Ann", "shown_first": "right"},
        {"left": "y", "right": "x", "winner": "left", "prompt": "8", "worker": "", "shown_first": ""},
    ]
    first, second = load_votes(write_csv(tmp_path / "votes.csv", rows)).records
    assert first == Vote("x", "y", "right", first.prompt, first.unit, "Ann", "right")
    assert (second.annotator, second.shown_first) == (None, None)
    assert first.unit == second.unit is not None


def test_counts_are_votes_and_a_row_of_blanks_is_unanswered(tmp_path):
    rows = [
        {"left": "x", "right": "y", "left_wins": "2", "right_wins": "1", "ties": "1"},
        {"left": "x", "right": "z", "left_wins": "", "right_wins": "NA", "ties": ""},
        {"left": "x", "right": "z", "left_wins": "0", "right_wins": "1.0", "ties": "0"},
    ]
    loaded = load_votes(write_csv(tmp_path / "counts.csv", rows))
    assert plain(loaded.records) == [
        *[("x", "y", "left")] * 2,
        ("x", "y", "right"),
        ("x", "y", "tie"),
        ("x", "z", "right"),
    ]
    assert loaded.verdict_counts == {"keep": 2, "unanswered": 1}


def test_pandalm_is_a_vote_by_every_annotator(tmp_path):
    row = {"cmp_key": "x_y", "instruction": "Hi", "input": "", "response1": "1", "response2": "2"}
    row |= {"annotator1": 1, "annotator2": 2, "annotator3": 0, "annotator4": None}
    votes = load_votes(write(tmp_path / "panda.jsonl", [row])).records
    assert [(vote.annotator, vote.outcome) for vote in votes] == [
        ("annotator1", "left"),
        ("annotator2", "right"),
        ("annotator3", "tie"),
    ]
    assert len({vote.unit for vote in votes}) == 1


BATTLE = {"model_a": "x", "model_b": "y", "winner": "tie"}
COUNTS = {"left": "x", "right": "y", "left_wins": 1, "right_wins": 1}
PANDA = {"cmp_key": "x_y", "annotator1": 1}


@pytest.mark.parametrize(
    ("good", "change", "words"),
    [
        (BATTLE, {"winner": "modelA"}, "'winner' is 'modelA', which is not an outcome"),
        (BATTLE, {"winner": 1}, "'winner' is 1, which is not an outcome"),
        (BATTLE, {"model_b": "x"}, "'x' is compared with itself"),
        (BATTLE, {"model_b": " "}, "'model_b' is blank"),
        (BATTLE, {"model_b": None}, "'model_b' is missing"),
        (BATTLE, {"model_b": ["y"]}, "'model_b' must name an item, got ['y']"),
        (BATTLE, {"shown_first": "top"}, "'shown_first' is 'top', which is not a side"),
        (COUNTS, {"left_wins": -1}, "'left_wins' is -1, which is not a count"),
        (COUNTS, {"left_wins": 1.5}, "'left_wins' is 1.5, which is not a count"),
        (COUNTS, {"left_wins": "nan"}, "'left_wins' is 'nan', which is not a count"),
        (COUNTS, {"left_wins": "many"}, "'left_wins' is 'many', which is not a count"),
        (COUNTS, {"left_wins": MAX_COUNT + 1}, "which is not a count"),
        (COUNTS, {"left_wins": 10**400}, "'left_wins' is a number of about 401 digits, which is not a count"),
        (COUNTS, {"left_wins": "9" * 400}, "which is not a count"),
        (COUNTS, {"left_wins": None}, "'left_wins' is missing"),
        (PANDA, {"cmp_key": "x"}, "'cmp_key' is 'x'"),
        (PANDA, {"cmp_key": "x_x"}, "'x' is compared with itself"),
        (PANDA, {"annotator1": 3}, "'annotator1' is 3, which is not an outcome"),
        (comparison(), {"outcome": "left"}, "'outcome' is 'left': input should be 'a'"),
        (comparison(), {"b": comparison()["a"]}, "'before' is compared with itself"),
        (comparison(), {"b": comparison()["a"]}, "votes on two answers of one model are for training"),
    ],
)
def test_a_row_that_is_no_vote_is_named_by_file_and_line_and_can_be_dropped(tmp_path, good, change, words):
    path = write(tmp_path / "votes.jsonl", [good, {**good, **change}])
    with pytest.raises(DataError) as caught:
        load_votes(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert words in str(caught.value)
    assert '`on_bad_row="drop"` skips' in str(caught.value)
    loaded = load_votes(path, on_bad_row="drop")
    assert plain(loaded.records) == plain(load_votes(write(tmp_path / "good.jsonl", [good])).records)
    assert len(loaded.problems) == 1


def test_a_row_without_a_winner_is_named(tmp_path):
    path = write(tmp_path / "votes.jsonl", [BATTLE, {"model_a": "x", "model_b": "y"}])
    with pytest.raises(DataError, match=r"votes\.jsonl:2: the field 'winner' is missing"):
        load_votes(path)


def test_a_torn_line_is_a_bad_row(tmp_path):
    path = write(tmp_path / "votes.jsonl", [BATTLE])
    path.write_text(path.read_text() + "{torn\n")
    with pytest.raises(DataError, match=r"votes\.jsonl:2: the line is not JSON"):
        load_votes(path)


def test_files_without_a_vote_and_formats_nobody_knows_are_refused(tmp_path):
    unanswered = write(tmp_path / "open.jsonl", [{**BATTLE, "winner": None}])
    with pytest.raises(DataError, match=r"no vote to rank by \(1 unanswered\); nobody has answered yet"):
        load_votes(unanswered)
    alone = write(tmp_path / "alone.jsonl", [{**BATTLE, "model_b": "x"}])
    with pytest.raises(DataError, match=r"no vote to rank by \(1 bad_type\); see .*alone\.jsonl:1: 'x' is compared"):
        load_votes(alone, on_bad_row="drop")
    with pytest.raises(DataError, match=r"no known format has its columns \(team, score\)"):
        load_votes(write(tmp_path / "scores.jsonl", [{"team": "x", "score": 1}]))
    with pytest.raises(ConfigError, match="error or drop"):
        load_votes(unanswered, on_bad_row="skip")


def test_several_files_are_read_one_after_the_other_and_become_columns(tmp_path):
    first = write(tmp_path / "a.jsonl", [BATTLE])
    second = write_csv(tmp_path / "b.csv", [COUNTS])
    loaded = load_votes([first, second])
    assert loaded.format == "arena_battles, counts_decided"
    assert not keeps_order(loaded.format)
    columns = vote_columns(loaded.records)
    assert columns["outcome"] == ["tie", "left", "right"]
    assert columns.keys() == {"left", "right", "outcome", "prompt", "unit", "annotator", "shown_first"}


def test_real_files_are_read_whole(shared):
    found = {}
    for name in (
        "bt_classic/baseball_al_east_1987.csv",
        "bt_classic/citations_stigler_1994.csv",
        "bt_classic/springall_contests.csv",
        "bt_classic/evalica_food.csv",
        "llmfao/arena_shape_from_llmfao.jsonl.gz",
        "llmfao/gpt4-crowd-comparisons.csv.gz",
        "pandalm/testset-v1.json.gz",
    ):
        loaded = load_votes(shared / "data" / name)
        found[name.split("/")[1]] = (len(loaded.records), len({vote.annotator for vote in loaded.records}))
    assert found == {
        "baseball_al_east_1987.csv": (273, 1),
        "citations_stigler_1994.csv": (3727, 1),
        "springall_contests.csv": (885, 1),
        "evalica_food.csv": (30, 1),
        "arena_shape_from_llmfao.jsonl.gz": (1195, 115),
        "gpt4-crowd-comparisons.csv.gz": (2139, 1),
        "testset-v1.json.gz": (2997, 3),
    }


def test_parquet_holds_the_same_votes_as_jsonl(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [BATTLE | {"judge": "Ann"}, BATTLE | {"winner": "model_a", "judge": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "votes.parquet")
    assert len(list(scan_rows(tmp_path / "votes.parquet"))) == 2
    assert load_votes(tmp_path / "votes.parquet").records == load_votes(write(tmp_path / "v.jsonl", rows)).records

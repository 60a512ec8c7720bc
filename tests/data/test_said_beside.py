"""Ids, models and scores that stand beside a record go along, so that a file written twice is the same file."""

import json

import pytest

from penchant.data import load_pairs, load_votes
from penchant.data.convert import convert

PAIR = {"prompt": "What is the sun?", "chosen": "A star.", "rejected": "A lamp."}
SAID = {"id": "7", "chosen_model": "tea", "rejected_model": "mud", "chosen_score": 3, "rejected_score": 1}
LIST = {"prompt": "What is the sun?", "answers": [{"text": t, "score": s, "model": t} for t, s in (("A", 2), ("B", 1))]}


def written(data, to, folder):
    path = folder / f"{to}-{len(list(folder.iterdir()))}.jsonl"
    found = convert(data, to=to, output=path)
    return found, path, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "row", [PAIR | SAID, LIST | {"id": "7"}, PAIR | SAID | {"gap": 5.0, "weight": 0.5}], ids=range(3)
)
@pytest.mark.parametrize("to", ["trl", "kto", "messages"])
def test_what_is_written_twice_is_the_same(row, to, tmp_path):
    _, path, rows = written([row], to, tmp_path)
    found, again, _ = written(path, to, tmp_path)
    assert again.read_bytes() == path.read_bytes()
    assert found.left_behind == ()
    assert all(name in rows[0] for name in (("chosen_model", "chosen_score") if to == "trl" else ("model", "score")))


def test_every_spelling_is_written_under_one_and_read_again(tmp_path):
    row = PAIR | {
        "chosen-model": "tea",
        "rejected-model": "mud",
        "chosen-rating": 5,
        "rejected-rating": 2,
        "source": "web",
    }
    found, path, (out,) = written([row], "trl", tmp_path)
    assert {name: out[name] for name in SAID if name != "id"} == {
        **{"chosen_model": "tea", "rejected_model": "mud"},
        **{"chosen_score": 5, "rejected_score": 2},
    }
    assert [field.name for field in found.left_behind] == ["source"]
    assert load_pairs(path).records[0].gap == 3
    assert {load_votes(path).records[0].left, load_votes(path).records[0].right} == {"tea", "mud"}


def test_a_gap_that_the_scores_do_not_have_stays(tmp_path):
    _, path, (out,) = written([PAIR | SAID | {"gap": 5.0}], "trl", tmp_path)
    assert out["gap"] == 5
    assert load_pairs(path).records[0].gap == 5


def test_sides_that_a_soft_label_turns_take_what_is_said_of_them_along(tmp_path):
    _, _, rows = written([PAIR | SAID | {"probability": 0.2}], "kto", tmp_path)
    assert [(row["completion"][0]["content"], row["label"], row["model"], row["score"]) for row in rows] == [
        ("A lamp.", True, "mud", 1),
        ("A star.", False, "tea", 3),
    ]
    _, _, (battle,) = written([PAIR | SAID | {"probability": 0.2}], "arena", tmp_path)
    assert battle[battle["winner"]] == "mud"

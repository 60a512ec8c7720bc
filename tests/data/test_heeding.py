"""pairing and min_gap are heeded, or refused where no row has what they are about."""

import json

import pytest

from penchant.data import load_labelled, load_pairs
from penchant.data.convert import convert
from penchant.data.parts import Part
from penchant.errors import ConfigError

PAIR = {"prompt": "Q", "chosen": "x", "rejected": "y"}
LIST = {"prompt": "R", "answers": [{"text": text, "score": score} for text, score in (("x", 9), ("y", 5), ("z", 1))]}
LABEL = {"prompt": "S", "completion": "x", "label": True}
STRONG = {"prompt": "T", "response_1": "x", "response_2": "y", "preference_strength": -2}


@pytest.fixture
def file(tmp_path):
    def write(name, *rows):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


@pytest.mark.parametrize("said", [{"pairing": "best_worst"}, {"pairing": "best_random"}, {"min_gap": 2}], ids=str)
@pytest.mark.parametrize("load", [load_pairs, load_labelled])
def test_what_no_row_heeds_is_refused(load, said, tmp_path):
    for rows in ([PAIR], [PAIR, PAIR | {"prompt": "R", "weight": 2}]):
        with pytest.raises(
            ConfigError, match=f"{next(iter(said))} has no effect, as none of the rows has a list of answers"
        ):
            load(rows, **said)
        with pytest.raises(ConfigError, match="has no effect, as none of the rows"):
            convert(rows, to="trl", output=tmp_path / "out.jsonl", **said)
    assert load([PAIR, LIST], **said).verdict_counts["keep"] == 2


@pytest.mark.parametrize("said", [{"pairing": "best_worst"}, {"min_gap": 2}], ids=str)
def test_labels_refuse_it_and_labels_beside_lists_do_not(file, said):
    with pytest.raises(ConfigError, match="has no effect on labelled responses"):
        load_labelled([LABEL], **said)
    found = load_labelled([file("lists.jsonl", LIST), file("labels.jsonl", LABEL)], **said)
    assert [one.response for one in found.records] == ["x", "z", "x"]


def test_a_source_that_says_it_for_itself_heeds_it_itself(file):
    plain, lists = file("plain.jsonl", PAIR), file("lists.jsonl", LIST)
    assert len(load_pairs([plain, Part(lists, pairing="best_worst")]).records) == 2
    with pytest.raises(ConfigError, match=r"plain\.jsonl::min_gap=2.0: min_gap has no effect"):
        load_pairs([Part(plain, min_gap=2.0), lists])


SCORED = [PAIR | {"chosen_score": 9, "rejected_score": 7}, PAIR | {"rating": [3, 1]}, STRONG]


@pytest.mark.parametrize("row", SCORED, ids=str)
def test_scores_of_a_pair_heed_min_gap(row, tmp_path):
    for gap, counts in ((2, {"keep": 2}), (2.5, {"keep": 1, "small_gap": 1})):
        said = {"min_gap": gap, "pairing": "best_worst"}
        assert load_pairs([LIST, row], **said).verdict_counts == counts
        assert convert([LIST, row], to="trl", output=tmp_path / f"{gap}.jsonl", **said).counts == counts
    assert load_pairs([row, PAIR | {"prompt": "unscored"}], min_gap=1).verdict_counts == {"keep": 2}


def test_rows_behind_a_limit_may_have_the_scores_that_the_first_have_not(file):
    rows = file("rows.jsonl", PAIR, SCORED[0] | {"prompt": "scored"})
    assert len(load_pairs(rows, min_gap=1, limit=1).records) == 1
    assert len(load_pairs(Part(rows, max_rows=1), min_gap=1).records) == 1
    with pytest.raises(ConfigError, match="min_gap has no effect"):
        load_pairs(file("plain.jsonl", PAIR, PAIR | {"prompt": "R"}), min_gap=1, limit=5)

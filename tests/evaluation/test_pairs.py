"""Pairs of sampled answers: by score over several models, by who wrote them, filtered, ordered, with provenance."""

import json

import pytest

import penchant as pt
from penchant.data import load_pairs
from penchant.data.pair_building import Choice
from penchant.errors import ConfigError, DataError, OutputError
from penchant.evaluation.candidates import Samples
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics

SUN, SEA = "What is the sun?", "What is the sea?"


def prompt(text):
    return [{"role": "user", "content": text}]


def comparison(question, a, b, model, finished=(True, True)):
    source = {"model": model, "temperature": 1.0}
    return {
        "id": f"{question}/{a}/{b}",
        "prompt": prompt(question),
        "a": {"text": a, "source": source},
        "b": {"text": b, "source": source},
        "meta": {"prompt_id": question, "finished": list(finished)},
    }


def completion(question, text, model="one"):
    source = {"model": model, "temperature": 1.0}
    return {"id": question, "prompt": prompt(question), "completion": text, "source": source}


@pytest.fixture
def file(tmp_path):
    def write(name, *rows):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def length(_prompt, response):
    return len(response)


def sides(found):
    return [(row["chosen"], row["rejected"]) for row in found.rows]


def test_the_best_and_the_worst_of_all_models_answers_become_the_pair(file):
    large = file("large.jsonl", comparison(SUN, "four", "seven..", "L"), completion(SEA, "blue water", "L"))
    small = file("small.jsonl", comparison(SUN, "no", "maybe", "S"), completion(SEA, "wet", "S"))
    found = pt.pair([large, small], length, progress=False)
    assert sides(found) == [("seven..", "no"), ("blue water", "wet")]
    assert found.rows[0]["meta"] == {
        "rule": "best_worst", "judge": found.rows[0]["meta"]["judge"], "score_chosen": 7.0, "score_rejected": 2.0,
        "gap": 5.0, "model_chosen": "L", "model_rejected": "S",
    }  # fmt: skip


def test_a_judge_that_reads_conversations_is_given_all_of_each(file, monkeypatch):
    class Reads:
        name = "reads"

        def score(self, prompt, response):
            raise AssertionError("the last message alone")

        def scores(self, asked):
            return [float(len(messages) * (text == "good")) for messages, text in asked]

    monkeypatch.setattr("penchant.evaluation.pairs.open_scorer", lambda _: Reads())
    turns = [*prompt(SUN), {"role": "assistant", "content": "A star."}, {"role": "user", "content": "Go on."}]
    rows = [completion(SUN, text) | {"prompt": turns} for text in ("good", "bad")]
    [row] = pt.pair([file("a.jsonl", *rows)], "reads", progress=False).rows
    assert (row["chosen"], row["rejected"]) == ("good", "bad")
    assert row["meta"]["score_chosen"] == 3.0, "three messages were read"


def test_an_answer_that_stands_in_several_comparisons_is_one_answer(file):
    rows = [comparison(SUN, "a", "bb", "m"), comparison(SUN, "a", "cccc", "m"), comparison(SUN, "bb", "cccc", "m")]
    found = pt.pair(file("k.jsonl", *rows), length, rule="all", progress=False)
    assert sides(found) == [("cccc", "bb"), ("cccc", "a"), ("bb", "a")]


def test_pairs_whose_scores_are_closer_than_the_gap_are_left_out_and_counted(file):
    found = pt.pair(
        file("s.jsonl", comparison(SUN, "a", "bb", "m"), comparison(SEA, "a", "ccccc", "m")),
        length,
        min_gap=2,
        progress=False,
    )
    assert sides(found) == [("ccccc", "a")]
    assert found.left_out == {"prompts whose answers' scores are too close": 1}
    assert found.in_words()[0] == "1 pairs from 2 prompts"


def test_delta_pairs_prefer_the_first_models_answers_and_need_no_judge(file):
    strong = file("strong.jsonl", comparison(SUN, "s1", "s2", "L"), completion(SEA, "same", "L"))
    weak = file("weak.jsonl", comparison(SUN, "w1", "w2", "S"), completion(SEA, "same", "S"))
    found = pt.pair([strong, weak], rule="delta", progress=False)
    assert sides(found) == [("s1", "w1"), ("s2", "w2")]
    assert found.rows[0]["meta"] == {"rule": "delta", "model_chosen": "L", "model_rejected": "S"}
    assert found.left_out == {"prompts without a different answer in each file": 1}


def test_a_judge_beside_delta_pairs_drops_those_in_which_the_weaker_model_did_better(file):
    strong = file("strong.jsonl", completion(SUN, "long answer", "L"), completion(SEA, "no", "L"))
    weak = file("weak.jsonl", completion(SUN, "short", "S"), completion(SEA, "longer", "S"))
    assert sides(pt.pair([strong, weak], length, rule="delta", progress=False)) == [("long answer", "short")]


def test_a_pair_of_too_different_lengths_is_left_out(file):
    samples = file("s.jsonl", comparison(SUN, "aa", "bbb", "m"), comparison(SEA, "aa", "c" * 5, "m"))
    found = pt.pair(samples, length, max_length_ratio=2, progress=False)
    assert sides(found) == [("bbb", "aa")]
    assert found.left_out == {"pairs of too different lengths": 1}


def test_answers_cut_at_the_limit_are_left_out_where_that_is_asked_for(file):
    samples = file("s.jsonl", comparison(SUN, "a", "bbb", "m", (True, False)), comparison(SUN, "cc", "", "m"))
    assert sides(pt.pair(samples, length, progress=False)) == [("bbb", "a")]
    found = pt.pair(samples, length, finished=True, progress=False)
    assert sides(found) == [("cc", "a")]
    assert found.left_out == {"answers that are empty or were cut at the limit": 2}


def test_the_easy_pairs_come_first_where_that_is_asked_for(file):
    rows = [comparison(text, "a", "b" * n, "m") for text, n in ((SUN, 2), (SEA, 9), ("What is rain?", 5))]
    found = pt.pair(file("s.jsonl", *rows), length, order="easy_first", progress=False)
    assert [row["meta"]["gap"] for row in found.rows] == [8.0, 4.0, 1.0]


def test_the_pairs_most_alike_to_a_model_are_left_out_and_the_least_alike_come_first(file, stories260k):
    ends = {
        SUN: ("The sun is a star.", "The sun is a star!"),
        SEA: ("It is wet.", "No dog likes cake."),
        "Rain?": ("a", "b c d"),
    }
    samples = file("s.jsonl", *(comparison(text, *two, "m") for text, two in ends.items()))
    model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")
    every = pt.pair(samples, length_and_end, ches_model=model, order="least_alike_first", progress=False)
    ches = [row["meta"]["ches"] for row in every.rows]
    assert ches == sorted(ches)
    assert every.rows[-1]["prompt"] == prompt(SUN)  # its sides differ in a point alone
    found = pt.pair(samples, length_and_end, ches_model=model, drop_alike=0.3, min_gap=0.1, progress=False)
    assert [row["prompt"] for row in found.rows] == [prompt(SEA), prompt("Rain?")]
    assert found.left_out == {"pairs whose sides are most similar to the model": 1}
    assert found.rows[0]["meta"]["filters"] == {"min_gap": 0.1, "drop_alike": 0.3}
    assert found.rows[0]["meta"]["ches_model"] == model.name


def length_and_end(_prompt, response):
    return len(response) + 0.5 * response.endswith("!")


def test_what_goes_by_likeness_needs_a_model_and_a_share_is_below_1(file):
    samples = file("s.jsonl", comparison(SUN, "a", "bbb", "m"))
    for arguments in ({"drop_alike": 0.5}, {"order": "least_alike_first"}):
        with pytest.raises(ConfigError, match=r"how similar both sides are: `ches_model=\.\.\.`"):
            pt.pair(samples, length, progress=False, **arguments)
    with pytest.raises(ConfigError, match=r"`drop_alike=\.\.\.` must be a share"):
        pt.pair(samples, length, progress=False, drop_alike=1)


def test_what_is_written_is_read_as_the_same_pairs_and_nothing_of_it_is_unread(file, tmp_path):
    samples = file("s.jsonl", comparison(SUN, "a", "bbb", "m"), completion(SEA, "x"), completion(SEA, "yy"))
    found = pt.pair(samples, length, output=tmp_path / "pairs.jsonl", progress=False)
    loaded = load_pairs(tmp_path / "pairs.jsonl")
    assert [(one.chosen, one.rejected) for one in loaded.records] == sides(found) == [("bbb", "a"), ("yy", "x")]
    assert loaded.unread == ()


def test_samples_in_memory_are_paired_as_those_of_a_file_are():
    samples = Samples((comparison(SUN, "a", "bbb", "m"),), 0, 0)
    assert sides(pt.pair(samples, length, progress=False)) == [("bbb", "a")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rule": "delta"}, r"`rule=\"delta\"` prefers the answers of the first file .* got 1 files"),
        ({"judge": None}, r"needs scores; name the judge: `judge=...`"),
        ({"rule": "worst"}, r"`rule=...` must be all, best_worst, .*, got 'worst'"),
        ({"order": "hard_first"}, r"`order=...` must be prompts, easy_first, least_alike_first"),
        ({"min_gap": -1}, r"min_gap must be a number that is at least 0"),
        ({"max_length_ratio": 0.5}, r"`max_length_ratio=...` must be a number that is at least 1"),
        ({"judge": "nobody"}, r"there is no judge 'nobody'"),
        ({"judge": lambda prompt, a, b: "a"}, r"gives no scores"),
        ({"judge": lambda prompt, response: float("nan")}, r"nan"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(file, arguments, words):
    samples = file("s.jsonl", comparison(SUN, "a", "bbb", "m"))
    with pytest.raises(ConfigError, match=words):
        pt.pair(samples, **{"judge": length, "progress": False, **arguments})


def test_delta_pairs_without_a_judge_know_no_gap(file):
    two = [file("a.jsonl", completion(SUN, "a")), file("b.jsonl", completion(SUN, "b"))]
    for arguments in ({"min_gap": 1.0}, {"order": "easy_first"}):
        with pytest.raises(ConfigError, match="needs scores"):
            pt.pair(two, rule="delta", progress=False, **arguments)


def test_samples_that_cannot_be_used_are_refused_by_file_and_line(file, tmp_path):
    with pytest.raises(DataError, match=r"bad\.jsonl:2: holds no sampled answers"):
        pt.pair(file("bad.jsonl", completion(SUN, "a"), {"prompt": prompt(SUN)}), length, progress=False)
    with pytest.raises(DataError, match=r"none\.jsonl:1: the prompt holds no message"):
        pt.pair(file("none.jsonl", completion(SUN, "a") | {"prompt": []}), length, progress=False)
    with pytest.raises(DataError, match=r"no pair is left \(left out: 1 prompts with fewer than two"):
        pt.pair(file("one.jsonl", completion(SUN, "a")), length, progress=False)
    with pytest.raises(ConfigError, match="there are no samples"):
        pt.pair([], length, progress=False)
    (tmp_path / "there.jsonl").write_text("")
    with pytest.raises(OutputError, match=r"there\.jsonl: exists already"):
        pt.pair(file("s.jsonl", completion(SUN, "a")), length, output=tmp_path / "there.jsonl", progress=False)


def test_a_choice_is_checked_when_it_is_made():
    with pytest.raises(ConfigError, match="max_length_ratio"):
        Choice(max_length_ratio=True)

"""Several sources: each with its weight and its cap, counted each; and a random choice that is by content alone."""

import json
import math
import tracemalloc
from collections import Counter

import pytest

from penchant.data import load_demonstrations, load_labelled, load_pairs, load_prompts, load_votes
from penchant.data.in_memory import as_source
from penchant.data.kinds import kinds_of
from penchant.data.parts import Part
from penchant.errors import ConfigError, DataError
from penchant.training.config import DataConfig


def pair(n, **more):
    return {"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}", **more}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chosen(data, **options):
    return [one.chosen for one in load_pairs(data, **options).records]


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "a.jsonl", map(pair, range(40))), write(tmp_path / "b.jsonl", map(pair, range(100, 140)))


def test_each_source_has_its_weight_and_its_cap_and_is_counted_by_itself(files, tmp_path):
    a, _ = files
    b = write(tmp_path / "weighed.jsonl", [pair(200, weight=3), pair(201), {"prompt": "p"}, pair(202), pair(203)])
    loaded = load_pairs([a, f"{b}::weight=0.5,max_rows=3"], on_bad_row="drop")
    assert [one.weight for one in loaded.records] == [1.0] * 40 + [1.5, 0.5, 0.5]
    assert loaded.by_source == {str(a): {"keep": 40}, str(b): {"keep": 3, "missing_field": 1}}
    assert loaded.verdict_counts == {"keep": 43, "missing_field": 1}
    assert loaded.records == load_pairs([a, Part(str(b), weight=0.5, max_rows=3)], on_bad_row="drop").records
    assert loaded.digest != load_pairs([a, b], on_bad_row="drop").digest


def test_a_folder_is_capped_as_a_whole(files, tmp_path):
    (tmp_path / "shards").mkdir()
    for file in files:
        file.rename(tmp_path / "shards" / file.name)
    assert chosen(f"{tmp_path / 'shards'}::max_rows=42") == [f"good {n}" for n in (*range(40), 100, 101)]


def test_a_file_whose_name_holds_the_mark_is_that_file(tmp_path):
    odd = write(tmp_path / "a.jsonl::weight=2", [pair(1)]).rename(tmp_path / "a::max_rows=1.jsonl")
    assert [one.weight for one in load_pairs(odd).records] == [1.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("weight=0", "a.jsonl: the weight of its rows must be a number above 0, got 0"),
        ("weight=-1", "must be a number above 0, got -1"),
        ("weight=nan", "must be a number above 0, got nan"),
        ("weight=inf", "must be a number above 0, got inf"),
        ("weight=much", "weight=much is not a number"),
        ("max_rows=0", "max_rows must be a whole number from 1 on, got 0"),
        ("max_rows=1.5", "max_rows=1.5 is not a number"),
        ("wieght=2", "a source of data has no option 'wieght'; did you mean weight?"),
        ("subset=random", "subset=random needs max_rows, the number of records to choose"),
        ("max_rows=2,subset=last", "subset must be head or random, got 'last'"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(files, options, words):
    with pytest.raises(ConfigError) as caught:
        load_pairs(f"{files[0]}::{options}")
    assert words in str(caught.value)


def test_an_option_that_nobody_would_read_is_refused(tmp_path):
    prompts = write(tmp_path / "prompts.jsonl", [{"prompt": "p"}])
    votes = write(tmp_path / "votes.jsonl", [{"model_a": "x", "model_b": "y", "winner": "model_a"}])
    with pytest.raises(ConfigError, match="weight has no effect on prompts"):
        load_prompts(f"{prompts}::weight=2")
    for options in ("weight=2", "max_rows=1"):
        with pytest.raises(ConfigError, match="has no effect on a ranking"):
            load_votes(f"{votes}::{options}")


def test_answers_documents_and_labels_are_weighed_too(tmp_path):
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    texts = write(tmp_path / "texts.jsonl", [{"messages": talk}, {"text": "once"}])
    told, document = load_demonstrations(f"{texts}::weight=3").records
    assert ([one.weight for one in told.messages], document.weight) == ([1.0, 3.0], 3.0)
    labelled = write(tmp_path / "labelled.jsonl", [{"prompt": "p", "completion": "c", "label": True, "weight": 2}])
    assert [one.weight for one in load_labelled(f"{labelled}::weight=3").records] == [6.0]


def test_pairs_and_labelled_responses_are_read_together_where_labels_are(files, tmp_path):
    labelled = write(tmp_path / "labelled.jsonl", [{"prompt": "p", "completion": "c", "label": True}])
    loaded = load_labelled([f"{files[0]}::weight=2,max_rows=1", labelled])
    assert [(one.response, one.desirable, one.weight) for one in loaded.records] == [
        ("good 0", True, 2.0),
        ("bad 0", False, 2.0),
        ("c", True, 1.0),
    ]
    assert loaded.by_source == {str(files[0]): {"keep": 1}, str(labelled): {"keep": 1}}
    assert list(kinds_of([files[0], labelled]).values()) == ["pairs", "labelled"]
    with pytest.raises(ConfigError, match="give each file its own"):
        load_labelled([files[0], labelled], limit=1)
    with pytest.raises(DataError, match=r"labelled\.jsonl"):
        load_pairs([files[0], labelled])


class TestRandomSubset:
    def test_it_keeps_the_order_and_depends_on_the_seed_and_the_content_alone(self, files, tmp_path):
        a, b = files
        found = chosen([a, b], limit=20, subset="random", seed=1)
        assert found == [one for one in chosen([a, b]) if one in set(found)]
        assert len(found) == 20
        assert found != chosen([a, b], limit=20)
        assert found == chosen([a, b], limit=20, subset="random", seed=1)
        assert set(found) == set(chosen([b, a], limit=20, subset="random", seed=1))
        other = write(tmp_path / "other.jsonl", map(pair, [*range(100, 140), *reversed(range(40))]))
        assert set(found) == set(chosen(other, limit=20, subset="random", seed=1))
        assert set(found) != set(chosen([a, b], limit=20, subset="random", seed=2))

    def test_a_larger_one_holds_the_smaller_and_all_is_all(self, files):
        some, more = (set(chosen(files, limit=n, subset="random", seed=3)) for n in (10, 30))
        assert some < more
        assert chosen(files, limit=500, subset="random") == chosen(files)

    def test_every_row_is_as_likely_as_any_other(self, tmp_path):
        path = write(tmp_path / "a.jsonl", map(pair, range(10)))
        times = Counter(one for seed in range(150) for one in chosen(path, limit=3, subset="random", seed=seed))
        expected, deviation = 150 * 0.3, math.sqrt(150 * 0.3 * 0.7)
        assert sum(times.values()) == 450
        assert all(abs(times[f"good {n}"] - expected) < 4 * deviation for n in range(10))

    def test_rows_that_cannot_be_used_take_no_place(self, tmp_path):
        path = write(tmp_path / "a.jsonl", [pair(n) if n % 2 else {"prompt": f"p{n}"} for n in range(40)])
        loaded = load_pairs(path, on_bad_row="drop", limit=15, subset="random")
        assert len(loaded.records) == 15
        assert loaded.verdict_counts == {"keep": 20, "missing_field": 20}, "the whole file is read"

    def test_one_source_may_be_a_random_choice_and_another_whole(self, files):
        a, b = files
        found = chosen([f"{a}::max_rows=5,subset=random", b], seed=4)
        assert found == [*chosen(a, limit=5, subset="random", seed=4), *chosen(b)]

    @pytest.mark.slow(threads=1)
    def test_it_holds_no_more_records_than_it_takes(self, tmp_path):
        def peak(num_rows):
            path = write(tmp_path / f"{num_rows}.jsonl", (pair(n, chosen="x" * 2000 + str(n)) for n in range(num_rows)))
            tracemalloc.start()
            chosen(path, limit=10, subset="random")
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            return most

        assert peak(3000) < peak(1000) + 700_000, "2,000 more rows hold 4 MB"

    def test_a_wrong_choice_is_refused(self, files):
        with pytest.raises(ConfigError, match="subset must be head or random, got 'tail'"):
            load_pairs(files, subset="tail")


class TestEachSourceReadInItsOwnWay:
    def test_columns_format_and_pairing_are_those_of_the_source(self, files, tmp_path):
        named = write(tmp_path / "named.jsonl", [{"q": "p", "good": "c", "bad": "r"}])
        listed = [
            {
                "instruction": "l",
                "completions": [{"response": word, "overall_score": i} for i, word in enumerate("xyz")],
            }
        ]
        lists = write(tmp_path / "lists.jsonl", listed)
        again = write(tmp_path / "again.jsonl", [{**listed[0], "instruction": "m"}])
        loaded = load_pairs(
            [
                f"{files[0]}::max_rows=1",
                f"{named}::columns=q=prompt,columns=good=chosen,columns=bad=rejected,weight=2",
                f"{lists}::pairing=best_worst",
                f"{again}::min_gap=2",
            ],
            pairing="adjacent",
        )
        assert [(one.chosen, one.rejected, one.weight) for one in loaded.records] == [
            ("good 0", "bad 0", 1),
            ("c", "r", 2),
            ("z", "x", 1),
        ]
        assert loaded.by_source[str(again)] == {"small_gap": 1}, "neighbours are 1 apart, and 2 was asked for"
        whole = load_pairs(
            [Part(str(named), columns="q=prompt,good=chosen,bad=rejected"), files[0]], columns="prompt=prompt"
        )
        assert whole.records[0].chosen == "c"

    def test_a_source_may_say_of_which_kind_it_is(self, tmp_path):
        talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
        both = write(tmp_path / "both.jsonl", [{"messages": talk, "label": True, "rejected": "no"}])
        assert list(kinds_of([both, f"{both}::kind=labelled"]).values()) == ["pairs", "labelled"]
        (told,) = load_labelled(f"{both}::kind=labelled").records
        assert (told.response, told.desirable) == ("a", True)
        (shown,) = load_demonstrations(f"{both}::kind=demonstrations").records
        assert shown.messages[-1].content == "a"
        with pytest.raises(
            ConfigError, match=r"both\.jsonl::kind=labelled: only pairs are read here; leave the file out"
        ):
            load_pairs(f"{both}::kind=labelled")
        with pytest.raises(DataError, match="rejected"):
            load_demonstrations(both)

    def test_the_same_source_twice_is_two_sources_with_a_counter_each(self, files):
        a = files[0]
        loaded = load_pairs([f"{a}::max_rows=2", a, f"{a}::max_rows=3"])
        twice, thrice = f"{a} (2)", f"{a} (3)"
        assert loaded.by_source == {
            str(a): {"keep": 2},
            twice: {"duplicate": 2, "keep": 38},
            thrice: {"duplicate": 3},
        }
        assert str(loaded.problems[0]).startswith(f"{twice}:1: it repeats {a}:1")
        assert len(loaded.records) == 45
        assert load_pairs([a, a]).by_source == {str(a): {"keep": 40}, twice: {"duplicate": 40}}
        rows = as_source([pair(1)])
        assert load_pairs([rows, rows]).by_source == {"data": {"keep": 1}, "data (2)": {"duplicate": 1}}

    def test_a_part_in_one_word_says_what_the_part_says(self):
        part = Part(
            "a b.jsonl",
            weight=0.5,
            max_rows=7,
            subset="random",
            kind="pairs",
            columns={"50%, =": "prompt", "good": "chosen"},
            format="hh_transcripts",
            pairing="adjacent",
            min_gap=0.25,
        )
        assert Part.of(str(part)) == part == Part.read(part.as_dict())
        assert Part.of("a.jsonl") == Part.read({"path": "a.jsonl"}) == Part("a.jsonl")
        assert DataConfig(files=({**part.as_dict()},)).files == (str(part),)
        with pytest.raises(ConfigError, match="there is no format '3'"):
            Part("a.jsonl", format=3)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ("kind=pears", "kind must be pairs, labelled or demonstrations, got 'pears'"),
            ("", "a source of data has no option ''; choose from weight"),
            ("columns=", "does not say what the column is read as"),
            ("format=hhh", "there is no format 'hhh'"),
            ("pairing=some", "pairing must be all, best_worst, best_random, adjacent, got 'some'"),
            ("min_gap=-1", "min_gap must be a number that is at least 0, got -1.0"),
            ("min_gap=wide", "min_gap=wide is not a number"),
            ("columns=chosen", "does not say what the column is read as"),
            ("columns=a=prompt,columns=a=chosen", "columns= renames a column twice"),
            ("columns=a=prompt,columns=b=prompt", "gives two columns (a, b) the name 'prompt'"),
            ("columns=nowhere=prompt", "no column 'nowhere' to read as 'prompt'"),
            ("columns=prompt=promt", "no format reads a field 'promt'; did you mean 'prompt'?"),
            ("weight=2,weight=3", "weight is given twice"),
        ],
    )
    def test_what_cannot_be_meant_is_one_sentence_that_names_the_file(self, files, options, words):
        with pytest.raises((ConfigError, DataError)) as caught:
            load_pairs([files[1], f"{files[0]}::{options}"])
        assert words in str(caught.value)
        assert str(files[0]) in str(caught.value)

    def test_what_nobody_would_read_is_refused(self, files, tmp_path):
        prompts = write(tmp_path / "prompts.jsonl", [{"prompt": "p"}])
        votes = write(tmp_path / "votes.jsonl", [{"model_a": "x", "model_b": "y", "winner": "model_a"}])
        labelled = write(tmp_path / "labelled.jsonl", [{"prompt": "p", "completion": "c", "label": True}])
        for load, path in ((load_prompts, prompts), (load_votes, votes), (load_labelled, labelled)):
            with pytest.raises(ConfigError, match="pairing has no effect on"):
                load(f"{path}::pairing=best_worst")
        for load, path in ((load_prompts, prompts), (load_votes, votes)):
            with pytest.raises(ConfigError, match="kind has no effect on"):
                load(f"{path}::kind=pairs")
        with pytest.raises(ConfigError, match="both good and bad"):
            load_labelled(f"{files[0]}::pairing=all")

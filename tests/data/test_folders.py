"""A folder, a pattern and what `datasets` saved are read whole and in order, or refused in one sentence."""

import csv
import json
from pathlib import Path

import pytest

from penchant.data import guess_kind, load_pairs, load_prompts
from penchant.data.given import sources_of
from penchant.errors import DataError


def rows(*numbers):
    return [{"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in numbers]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content))
    return path


def chosen(data):
    return [pair.chosen for pair in load_pairs(data).records]


def names(data):
    return [source.path.name for source in sources_of(data)]


def refusal(data):
    with pytest.raises(DataError) as caught:
        load_pairs(data)
    return str(caught.value)


def test_shards_of_a_folder_are_read_in_natural_order_whatever_stands_beside_them(tmp_path):
    for number in (10, 2, 1):
        write(tmp_path / f"part-{number}.jsonl", rows(number))
    for name in ("README.md", ".gitattributes", "_SUCCESS", "LICENSE", "part-1.votes.json"):
        (tmp_path / name).write_text("not data")
    assert chosen(tmp_path) == ["good 1", "good 2", "good 10"]
    assert chosen(f"{tmp_path}/") == ["good 1", "good 2", "good 10"]
    origins = [str(pair.origin) for pair in load_pairs(tmp_path).records]
    assert origins == [f"{tmp_path / f'part-{number}.jsonl'}:1" for number in (1, 2, 10)]
    whole = write(tmp_path.parent / f"{tmp_path.name}.jsonl", rows(1, 2, 10))
    assert load_pairs(tmp_path).digest == load_pairs(whole).digest, "it is of the bytes, however they are cut"


def test_a_pattern_stands_for_the_files_that_it_matches(tmp_path):
    write(tmp_path / "a" / "x-2.jsonl", rows(2))
    write(tmp_path / "a" / "x-10.jsonl", rows(10))
    write(tmp_path / "b" / "c" / "x.jsonl", rows(3))
    (tmp_path / "a" / "folder.jsonl").mkdir()
    assert chosen(str(tmp_path / "a" / "*.jsonl")) == ["good 2", "good 10"]
    assert chosen([str(tmp_path / "**" / "*.jsonl")]) == ["good 2", "good 10", "good 3"]
    assert chosen(str(tmp_path / "a" / "x-?.jsonl")) == ["good 2"]
    assert (
        refusal(str(tmp_path / "*.csv")) == f"{tmp_path}/*.csv: no file matches this pattern; check it, or name a file."
    )
    literal = write(tmp_path / "odd[1]*.jsonl", rows(7))
    assert chosen(literal) == ["good 7"], "a file of that very name is meant before the pattern is"


def test_a_folder_without_data_is_one_sentence(tmp_path):
    assert "is an empty folder" in refusal(tmp_path)
    (tmp_path / "README.md").write_text("x")
    assert "is no project of votes, as it has no project.yaml; name a file." in refusal(tmp_path)
    write(tmp_path / "inner" / "a.jsonl", rows(1))
    assert f"holds no file of data, but its folders do (inner); name one: {tmp_path / 'inner'}." in refusal(tmp_path)
    write(tmp_path / "b.jsonl", rows(1))
    assert (
        f"say which files to read with a pattern, such as '{tmp_path}/*.jsonl' or '{tmp_path}/**/*.jsonl'"
        in refusal(tmp_path)
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            ("a.jsonl", "b.csv"),
            "holds files of different formats (.csv, .jsonl); say which files to read with a pattern",
        ),
        (("a.jsonl", "b.xlsx"), "holds b.xlsx, whose format is not read; say which files to read with a pattern"),
        (("a.jsonl", "a.jsonl.gz"), "holds a.jsonl and a.jsonl.gz, the same data twice; keep one of them"),
        (("train-1.jsonl", "test-1.jsonl"), "holds the splits test, train, and training on all would leave none"),
        (("train.jsonl", "val.jsonl"), "holds the splits train, validation"),
        (("x-00000-of-00003.jsonl", "x-00002-of-00003.jsonl"), "of the 3 shards of x, number 1 is missing"),
    ],
)
def test_what_would_be_read_wrong_as_one_is_refused(tmp_path, files, words):
    for name in files:
        write(tmp_path / name, rows(1))
    assert words in refusal(tmp_path)


def test_two_spellings_of_an_ending_are_one_format_and_whole_sets_are_read(tmp_path):
    write(tmp_path / "y-00000-of-00001.ndjson", rows(3))
    for number in range(2):
        write(tmp_path / f"x-0000{number}-of-00002.jsonl", rows(number))
    assert chosen(tmp_path) == ["good 0", "good 1", "good 3"]


def test_tables_with_other_columns_are_refused_and_objects_may_have_more(tmp_path):
    for name, extra in (("a", {}), ("b", {"weight": 2})):
        held = [{**row, **extra} for row in rows(1, 2)]
        write(tmp_path / "json" / f"{name}.jsonl", held)
        (tmp_path / "csv").mkdir(exist_ok=True)
        with (tmp_path / "csv" / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(held[0]))
            writer.writeheader()
            writer.writerows(held)
    words = "a.csv and b.csv have different columns (only one has weight); name the files one by one if both are meant."
    assert refusal(tmp_path / "csv").endswith(words)
    assert refusal(str(tmp_path / "csv" / "*.csv")).endswith(words)
    assert [pair.weight for pair in load_pairs(tmp_path / "json").records] == [1, 1, 2, 2]
    assert len(chosen(sorted((tmp_path / "csv").iterdir()))) == 4


def test_a_shard_of_another_shape_is_named(tmp_path):
    write(tmp_path / "1.jsonl", rows(1))
    strange = write(tmp_path / "2.jsonl", [{"question": "x", "answer": "y"}])
    assert f"{strange}:1: no known format has its columns (question, answer)" in refusal(tmp_path)


def test_folders_are_taken_wherever_rows_are(tmp_path):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "1.txt").write_text("one\ntwo\n")
    (tmp_path / "prompts" / "2.txt").write_text("three\n")
    assert [one.messages[0].content for one in load_prompts(tmp_path / "prompts").records] == ["one", "two", "three"]
    write(tmp_path / "labelled" / "1.jsonl", [{"prompt": "p", "completion": "c", "label": True}])
    assert guess_kind(tmp_path / "labelled") == "labelled"


def test_a_folder_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert f"{tmp_path} cannot be read (Permission denied)" in refusal(tmp_path)


class TestSavedByDatasets:
    """Folders as `Dataset.save_to_disk` and `DatasetDict.save_to_disk` write them."""

    @pytest.fixture
    def datasets(self):
        pytest.importorskip("pyarrow", reason="needs pyarrow")
        return pytest.importorskip("datasets", reason="needs datasets")

    def test_its_shards_are_read_in_order_and_nothing_else_is(self, datasets, tmp_path):
        datasets.disable_progress_bars()
        held = rows(*range(25))
        datasets.Dataset.from_list(held).save_to_disk(tmp_path / "saved", num_shards=12)
        (tmp_path / "saved" / "data-00000-of-00099.arrow").write_bytes(b"of an earlier one")
        assert len(names(tmp_path / "saved")) == 12
        loaded = load_pairs(tmp_path / "saved").records
        assert [pair.chosen for pair in loaded] == [row["chosen"] for row in held]
        assert str(loaded[0].origin).endswith("data-00000-of-00012.arrow:1")

    def test_splits_are_named_and_each_is_a_folder(self, datasets, tmp_path):
        datasets.disable_progress_bars()
        splits = {name: datasets.Dataset.from_list(rows(n)) for n, name in enumerate(("train", "test"))}
        datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
        words = f"holds the splits train, test as `datasets` saved them; name one: {tmp_path / 'saved' / 'train'}."
        assert words in refusal(tmp_path / "saved")
        assert chosen(tmp_path / "saved" / "test") == ["good 1"]

    def test_a_list_of_shards_that_is_damaged_or_leads_elsewhere_is_refused(self, tmp_path):
        (tmp_path / "dataset_info.json").write_text("{}")
        for state, words in (
            ("{", "does not list its _data_files"),
            ('{"_data_files": []}', "does not list its _data_files"),
            ('{"_data_files": [{"filename": "../secret.arrow"}]}', "names a file outside its folder"),
            ('{"_data_files": [{"filename": "data-1.arrow"}]}', "data-1.arrow: is missing, though"),
        ):
            (tmp_path / "state.json").write_text(state)
            assert words in refusal(tmp_path)
